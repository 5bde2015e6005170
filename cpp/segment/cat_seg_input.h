#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "declip/cat_seg.h"
#include "declip/config.h"
#include "declip/size.h"
#include "image/windows.h"

namespace declip {

/// Which squares of a picture CAT-Seg's tower sees, all in pixels.
struct CatSegGeometry {
  bool sliding = true;
  int64_t side = 384;  // of the tower's input
  int64_t cut = 384;   // of a window, before it becomes `side`
  /// Windows of the canvas, a square that the picture is stretched to. The
  /// whole picture is one more input. Not sliding: unused.
  WindowPlan canvas;

  /// Inputs of the tower: windows row by row, and the whole picture last.
  int64_t inputs() const { return sliding ? canvas.size() + 1 : 1; }
};

/// What `options` say, or else the head's configuration. Where windows do not
/// end with the canvas the last ones are moved back, so that they cover it; the
/// authors' values (640, 384, 256) do end with it.
/// patch  of the tower, in pixels
/// Throws Error(kInvalidArg) for sides that make no windows, or no whole
/// patches.
CatSegGeometry cat_seg_geometry(const CatSegConfig& config,
                                const CatSegOptions& options,
                                int64_t patch);

/// The windows alone that such options have with a head of released sizes.
int64_t count_cat_seg_inputs(const CatSegOptions& options);

/// detectron2's ResizeShortestEdge, by which the authors' programs read a
/// picture: the short side becomes `short_side`; if that takes the long one
/// above `long_side` both are shrunk by the same factor. Rounds half up.
/// Without `enlarge` a smaller picture stays as it is.
Size cat_seg_size(Size picture,
                  int64_t short_side,
                  int64_t long_side,
                  bool enlarge = true);

/// How pixels become numbers: (x - mean) / std, on the 0..255 scale.
/// `normalised` pixels are numbers already.
struct CatSegPixels {
  PixelStats unit;  // on the 0..1 scale, as configurations have them
  bool normalised = false;
};

/// Cuts the inputs of a picture. Resizes twice as the authors' program does,
/// bilinear without antialias on float pixels, normalising in between: picture
/// -> canvas -> windows -> `side`. Not sliding: normalised, padded at the right
/// and bottom with zeros to multiples of 32 pixels, then -> `side`.
class CatSegInput {
 public:
  /// image  float32 [1, 3, H, W]: pixels 0..255 of the picture as
  ///        cat_seg_size() has it, or normalised ones
  CatSegInput(const at::Tensor& image,
              const CatSegGeometry& geometry,
              const CatSegPixels& pixels);

  /// Inputs first..last, last excluded: float32 [last - first, 3, side, side].
  at::Tensor make(int64_t first, int64_t last) const;

 private:
  at::Tensor normal(const at::Tensor& pixels) const;

  CatSegGeometry geometry_;
  at::Tensor mean_, std_;  // [1, 3, 1, 1]; undefined for normalised pixels
  at::Tensor canvas_;      // [1, 3, canvas, canvas], if sliding
  at::Tensor whole_;  // [1, 3, cut, cut], or the padded picture, not sliding
};

}  // namespace declip
