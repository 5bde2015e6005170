#pragma once

#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "declip/config.h"
#include "kernels/quantize.h"
#include "model/weights.h"

namespace declip {

/// How the layers compute. Every layer has both ways:
///
/// eager  LibTorch's operators, one after the other, in one dtype: any device,
///        with gradients; what the fused way is compared with
/// fused  attention and norms in our kernels, on the CPU packed weights with
///        the activation or the residual in the same pass where oneDNN is
///        fast, on CUDA LibTorch's linear layers and its attention where that
///        is the ordinary one; the residual stream stays in float32, what
///        flows through the weights has `dtype`
struct Numerics {
  bool fused = false;
  at::ScalarType dtype = at::kFloat;  // of weights and branches
  bool int8 = false;                  // products in 8 bits, which needs `fused`
  /// Eager only: products in `dtype`, the residual stream, the norms and the
  /// weights handed in in float32, as mixed-precision training wants it.
  bool mixed = false;
  /// Eager only: products and attention of model/recorded.h, for training.
  bool recorded = false;

  /// dtype of the residual stream.
  at::ScalarType stream() const { return fused || mixed ? at::kFloat : dtype; }

  /// Of a tower's first and last layer, which are small and sensitive.
  Numerics ends() const {
    Numerics out = *this;
    out.int8 = false;
    return out;
  }
  /// Of a layer that makes the residual stream, or whose result is handed out.
  Numerics in_stream() const {
    Numerics out = *this;
    out.dtype = stream();
    return out;
  }
};

/// y = epilogue(x (f W)^T + b), weight [out, in], bias [out] or undefined,
/// f a factor.
class Linear {
 public:
  Linear() = default;
  Linear(const at::Tensor& weight,
         const at::Tensor& bias,
         const Numerics& numerics,
         Epilogue epilogue = Epilogue::kNone,
         double factor = 1);
  Linear(const Scope& scope, const Numerics& numerics)
      : Linear(scope["weight"], scope.find("bias"), numerics) {}

  at::Tensor operator()(const at::Tensor& x) const;
  /// residual + x W^T + b, in the residual's dtype.
  at::Tensor add_to(const at::Tensor& residual, const at::Tensor& x) const;
  /// The same of activation(x), which is not kept if gradients are recorded.
  at::Tensor add_activated_to(const at::Tensor& residual,
                              const at::Tensor& x,
                              Epilogue activation) const;

  /// Why 8-bit products cannot run here; empty if they can.
  static std::string int8_obstacle();
  /// What a layer runs on with these numerics on this processor, e.g.
  /// "oneDNN, packed".
  static std::string describe(const Numerics& numerics);
  /// Whether that is oneDNN with packed weights.
  static bool is_packed(const Numerics& numerics);

 private:
  /// epilogue(x W^T + b) + residual, which may be undefined.
  at::Tensor int8(const at::Tensor& x,
                  const at::Tensor& residual,
                  at::ScalarType dtype) const;

  enum class Form { kEager, kRecorded, kDense, kPacked, kInt8 };
  Form form_ = Form::kEager;
  Epilogue epilogue_ = Epilogue::kNone;
  at::Tensor weight_;  // packed, or as stored; recorded: without its factor
  double factor_ = 1;
  at::Tensor bias_;    // may be undefined
  at::Tensor scales_;  // int8: float32 [out]
  at::Tensor zeros_;   // int8: int32 [out]
};

/// LayerNorm over the last dimension; statistics are computed in float32
/// whatever the dtype. The result has the numerics' dtype.
class LayerNorm {
 public:
  LayerNorm() = default;
  LayerNorm(const Scope& scope, double epsilon, const Numerics& numerics);

  at::Tensor operator()(const at::Tensor& x) const;
  /// Of silu(a) * b for x = [a, b], twice as wide: SwiGLU with its sub-LN.
  at::Tensor gated(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  double eps_ = 1e-5;
  Numerics numerics_;
};

/// Heads of queries, keys and values, views [B, L, n, d].
struct Heads {
  at::Tensor q, k, v;
};

/// Which of them are wanted: the last block of a dense mode rarely needs all.
struct Wanted {
  bool q = true, k = true, v = true;
  bool class_query = false;  // q of the class token only, [B, 1, n, d]
};

/// [B, L, C] -> [B, L, n, C / n].
at::Tensor split_heads(const at::Tensor& x, int64_t heads);

/// The projection of a block's input to queries, keys and values.
class Projection {
 public:
  enum class Products {
    kOne,       // of all three
    kSeparate,  // one each, of which only those wanted are made
  };

  /// Weights and biases of q, k and v above each other.
  Projection(const at::Tensor& weight,
             const at::Tensor& bias,
             int64_t heads,
             Products products,
             const Numerics& numerics);
  /// Weights and biases of q, k, v; a bias may be undefined.
  Projection(const std::vector<at::Tensor>& weights,
             const std::vector<at::Tensor>& biases,
             int64_t heads,
             Products products,
             const Numerics& numerics);
  Heads operator()(const at::Tensor& x, const Wanted& wanted) const;

 private:
  int64_t heads_;
  std::vector<Linear> parts_;  // one or three
};

/// Two linear layers with an activation between them. QuickGELU is
/// x sigmoid(1.702 x); the others are what Activation says.
class Mlp {
 public:
  Mlp(const at::Tensor& in_weight,
      const at::Tensor& in_bias,
      const at::Tensor& out_weight,
      const at::Tensor& out_bias,
      Activation activation,
      const Numerics& numerics);
  /// residual + mlp(x).
  at::Tensor add_to(const at::Tensor& residual, const at::Tensor& x) const;

 private:
  Linear in_, out_;
  /// Eager: what stands between the two, none if `in_` has it.
  bool quick_gelu_after_ = false;
  Epilogue after_ = Epilogue::kNone;
};

/// softmax(q k^T / sqrt(d)) v of every head, [B, Lq, C].
at::Tensor attend(const Heads& heads,
                  const Numerics& numerics,
                  bool causal = false);

/// The pre-norm residual attention block of CLIP, in both its towers:
/// ln_1, fused in_proj, out_proj, ln_2, c_fc, c_proj, optional LayerScale,
/// which is folded into the layers that it scales.
struct ClipBlock {
  LayerNorm ln_1, ln_2;
  Projection in_proj;
  Linear out_proj;
  Mlp mlp;

  ClipBlock(const Scope& scope,
            double eps,
            int64_t heads,
            Activation activation,
            Projection::Products products,
            const Numerics& numerics);
};

}  // namespace declip
