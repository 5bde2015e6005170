#include "detector_view_handle.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "addon_data.h"
#include "declip/error.h"
#include "declip/rle.h"
#include "queued.h"
#include "tensor_handle.h"

namespace declip {
namespace {

/// Of the heads that see every proposal, for a pixel of the network's square
/// and a channel of the pyramid: four levels through two convolutions of 3 x 3
/// each, the finest of them a quarter of the patch apart.
constexpr double kPyramidPerPatchAndChannel = 2 * 9 * 21.25 * 3;
/// Convolutions of the box head on 7 x 7 cells, and of the mask head on 14 x
/// 14.
constexpr double kBoxCells = 49, kMaskCells = 196;
constexpr double kHeadConvolutions = 4;

double box_head(const DetectorConfig& config, double boxes, double cells) {
  const auto channels = static_cast<double>(config.channels);
  return boxes * cells * channels * 2 *
         (9 * channels * kHeadConvolutions +
          static_cast<double>(config.hidden));
}

DetectorQuestion to_question(const Napi::Object& o) {
  DetectorQuestion out;
  out.words = find_tensor(o, "words");
  const auto words = o.Get("wordClass");
  if (!words.IsUndefined()) {
    out.word_class = at::tensor(get_integers(o, "wordClass"), at::kLong);
  }
  const auto novel = o.Get("novel");
  if (!novel.IsUndefined()) {
    const bool is_bytes =
        novel.IsTypedArray() &&
        novel.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
    if (!is_bytes) throw wrong("novel", "a Uint8Array");
    const auto bytes = novel.As<Napi::Uint8Array>();
    out.novel = at::empty({static_cast<int64_t>(bytes.ElementLength())},
                          at::dtype(at::kByte));
    std::copy_n(bytes.Data(),
                bytes.ElementLength(),
                out.novel.mutable_data_ptr<uint8_t>());
    out.novel = out.novel.to(at::kBool);
  }
  out.alpha = get_number(o, "alpha");
  out.beta = get_number(o, "beta");
  out.vote_temperature = get_number(o, "voteTemperature");
  out.temperature = find_number(o, "temperature");
  out.score_threshold = get_number(o, "scoreThreshold");
  out.nms_threshold = get_number(o, "nmsThreshold");
  out.limit = get_integer(o, "limit");
  out.masks = get_bool(o, "masks");
  return out;
}

JobSize size_of_asking(const SeenPicture& seen, const DetectorQuestion& asked) {
  const auto& config = *seen.model->info().detector;
  if (!seen.model->device().is_cpu()) return unknown_size();
  const auto words = static_cast<double>(
      asked.words.defined() ? asked.words.size(0) : config.classes + 1);
  const auto proposals = static_cast<double>(seen.view.proposals.size(0));
  const auto width = static_cast<double>(config.embed_dim);
  JobSize out{4 * proposals * words * (width + 50), 12 * proposals * words};
  if (asked.masks) {
    const auto pixels = static_cast<double>(seen.view.picture.height) *
                        static_cast<double>(seen.view.picture.width);
    const auto limit = static_cast<double>(asked.limit);
    out.operations += box_head(config, limit, kMaskCells) + 100 * pixels;
    out.bytes += 4 * limit * kMaskCells * static_cast<double>(config.channels);
  }
  return out;
}

template <class Array, class T>
Array numbers_of(Napi::Env env,
                 const at::Tensor& tensor,
                 at::ScalarType dtype) {
  const auto flat = tensor.to(at::kCPU, dtype).contiguous();
  const auto* data = flat.const_data_ptr<T>();
  return copied<Array>(env, std::vector<T>(data, data + flat.numel()));
}

}  // namespace

DetectorInput to_detector_input(const Napi::Object& o) {
  const DetectorInput own;
  DetectorInput out;
  out.side = find_integer(o, "side");
  out.blocks = get_integers(o, "blocks");
  if (const auto mode = find_string(o, "mode")) {
    out.mode = dense_mode_from(*mode);
  }
  if (const auto mode = find_string(o, "voteMode")) {
    out.vote_mode = dense_mode_from(*mode);
  }
  out.per_level = find_integer(o, "perLevel").value_or(own.per_level);
  out.proposals = find_integer(o, "proposals").value_or(own.proposals);
  out.proposal_nms = find_number(o, "proposalNms").value_or(own.proposal_nms);
  return out;
}

JobSize size_of_seeing(const Model& model,
                       const at::Tensor& pixels,
                       const DetectorInput& input) {
  const auto& config = model.info().detector;
  if (!config) return {};  // the job says what is wrong
  if (!model.device().is_cpu()) return unknown_size();
  const int64_t side = input.side.value_or(config->side);
  auto out =
      size_of_pass(model, 1, Size{side, side}) + size_of_resizing(pixels);
  const auto patch = static_cast<double>(std::max<int64_t>(config->patch, 1));
  const double patches =
      static_cast<double>(side) * static_cast<double>(side) / (patch * patch);
  const auto channels = static_cast<double>(config->channels);
  out.operations +=
      patches * channels * channels * kPyramidPerPatchAndChannel +
      box_head(*config, static_cast<double>(input.proposals), kBoxCells);
  // The finest level has 16 cells a patch.
  out.bytes += 4 * 16 * patches * channels * 3;
  return out;
}

Napi::Value to_js(Napi::Env env, const StoredWords& words) {
  if (!words.rows.defined()) return env.Null();
  return TensorHandle::wrap(env, words.rows.to(at::kCPU, at::kFloat));
}

static Napi::Value to_js(Napi::Env env, const DetectedObjects& found) {
  auto o = Napi::Object::New(env);
  o.Set("boxes",
        numbers_of<Napi::Float32Array, float>(env, found.boxes, at::kFloat));
  o.Set("scores",
        numbers_of<Napi::Float32Array, float>(env, found.scores, at::kFloat));
  o.Set("labels",
        numbers_of<Napi::Int32Array, int32_t>(env, found.labels, at::kInt));
  o.Set("proposals",
        numbers_of<Napi::Int32Array, int32_t>(env, found.proposals, at::kInt));
  if (!found.masks.empty()) {
    auto masks = Napi::Array::New(env, found.masks.size());
    uint32_t at = 0;
    for (const Rle& mask : found.masks) {
      masks.Set(at++, compress_counts(mask.counts));
    }
    o.Set("masks", masks);
  }
  return o;
}

DetectorViewHandle::DetectorViewHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<DetectorViewHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(
        env, "Detector views are made with model.encodeForDetection().");
  }
  seen_ =
      *info[0].As<Napi::External<std::shared_ptr<const SeenPicture>>>().Data();
  const auto& view = seen_->view;
  reported_bytes_ = view.bytes();
  const auto number = [&](const char* name, int64_t value) {
    return Napi::PropertyDescriptor::Value(
        name,
        Napi::Number::New(env, static_cast<double>(value)),
        napi_enumerable);
  };
  info.This().As<Napi::Object>().DefineProperties(
      {number("width", view.picture.width),
       number("height", view.picture.height),
       number("byteLength", reported_bytes_),
       number("proposals", view.proposals.size(0))});
  Napi::MemoryManagement::AdjustExternalMemory(env, reported_bytes_);
}

DetectorViewHandle::~DetectorViewHandle() { release(Env()); }

void DetectorViewHandle::release(Napi::Env env) {
  if (!seen_) return;
  seen_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -reported_bytes_);
}

Napi::Function DetectorViewHandle::define(Napi::Env env) {
  return DefineClass(env,
                     "NativeDetectorView",
                     {InstanceMethod("detect", &DetectorViewHandle::detect),
                      InstanceMethod("dispose", &DetectorViewHandle::dispose)});
}

Napi::Value to_js(Napi::Env env,
                  const std::shared_ptr<const SeenPicture>& seen) {
  auto held = seen;
  return addon_data(env).detector_view.New(
      {Napi::External<std::shared_ptr<const SeenPicture>>::New(env, &held)});
}

std::shared_ptr<const SeenPicture> DetectorViewHandle::seen() const {
  if (!seen_) throw Error(ErrorCode::kDisposed, "This view was disposed.");
  return seen_;
}

Napi::Value DetectorViewHandle::detect(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    auto question = to_question(o);
    auto held = seen();
    const auto size = size_of_asking(*held, question);
    return Sized{size,
                 [held = std::move(held),
                  question = std::move(question)](const Call& call) {
                   return held->model->detector(call).detect(
                       held->view, question, call);
                 }};
  });
}

Napi::Value DetectorViewHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
