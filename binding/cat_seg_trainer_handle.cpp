#include "cat_seg_trainer_handle.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon_data.h"
#include "declip/checkpoint.h"
#include "declip/process_group.h"
#include "model_options.h"
#include "queued.h"
#include "train_options.h"
#include "trainer_handle.h"

namespace declip {

struct MadeCatSegTrainer {
  std::shared_ptr<CatSegTrainer> trainer;
  CheckpointInfo student;
};

namespace {

/// Sizes of a new head; what is missing is 0 or empty, which stands for the
/// released one.
CatSegConfig to_cat_seg_head(const Napi::Object& o) {
  CatSegConfig out;
  const auto whole = [&](const char* key) {
    return find_integer(o, key).value_or(0);
  };
  out.channels = whole("channels");
  out.layers = whole("layers");
  out.image_guidance = whole("imageGuidance");
  out.text_guidance = whole("textGuidance");
  out.guidance = get_integers(o, "guidance");
  out.decoder = get_integers(o, "decoder");
  out.decoder_guidance = get_integers(o, "decoderGuidance");
  out.side = whole("side");
  out.canvas = whole("canvas");
  out.cut = whole("cut");
  out.stride = whole("stride");
  out.heads = whole("heads");
  out.window = whole("window");
  out.word_limit = find_integer(o, "wordLimit").value_or(out.word_limit);
  out.blocks = get_integers(o, "blocks");
  if (const auto mode = find_string(o, "mode")) {
    out.mode = dense_mode_from(*mode);
  }
  out.unit_patches = find_bool(o, "unitPatches").value_or(out.unit_patches);
  out.prompt = find_string(o, "prompt").value_or("");
  return out;
}

CatSegTrainOptions to_cat_seg_train(const Napi::Object& o) {
  CatSegTrainOptions out;
  const auto head = o.Get("head");
  out.head = to_cat_seg_head(head.IsObject() ? head.As<Napi::Object>()
                                             : Napi::Object::New(o.Env()));
  out.tokens = get_tensor(o, "tokens");
  out.classes = get_texts(o, "classes");
  out.clip = get_string(o, "clip");
  out.clip_rate = get_number(o, "clipRate");
  out.pooling = get_integer(o, "pooling");
  out.sampled_words = get_integer(o, "sampledWords");
  out.schedule = to_schedule(get_object(o, "schedule"));
  out.beta1 = find_number(o, "beta1").value_or(out.beta1);
  out.beta2 = find_number(o, "beta2").value_or(out.beta2);
  out.epsilon = find_number(o, "epsilon").value_or(out.epsilon);
  out.weight_decay = get_number(o, "weightDecay");
  out.clip_norm = get_number(o, "clipNorm");
  out.ema_decay = get_number(o, "emaDecay");
  out.checkpoint_activations = get_bool(o, "checkpointActivations");
  out.device = get_string(o, "device");
  out.dtype = get_string(o, "dtype");
  out.seed = static_cast<uint64_t>(get_integer(o, "seed"));
  return out;
}

std::vector<CatSegBatch> to_cat_seg_parts(const Napi::Object& o) {
  const auto parts = get_object(o, "parts");
  if (!parts.IsArray()) throw wrong("parts", "an array of batches");
  const auto array = parts.As<Napi::Array>();
  std::vector<CatSegBatch> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value part = array.Get(i);
    if (!part.IsObject()) throw wrong("parts", "an array of batches");
    const auto batch = part.As<Napi::Object>();
    out.push_back({find_tensor(batch, "images"), find_tensor(batch, "labels")});
  }
  return out;
}

}  // namespace

Napi::Value to_js(Napi::Env env, const MadeCatSegTrainer& made) {
  auto held = made.trainer;
  auto handle = addon_data(env).cat_seg_trainer.New(
      {Napi::External<std::shared_ptr<CatSegTrainer>>::New(env, &held)});
  handle.Set("info", to_js(env, made.student));
  return handle;
}

Napi::Function CatSegTrainerHandle::define(Napi::Env env) {
  return define_as(
      env,
      "NativeCatSegTrainer",
      {{"step", &CatSegTrainerHandle::step},
       {"exportCheckpoint", &CatSegTrainerHandle::export_checkpoint}});
}

Napi::Value CatSegTrainerHandle::create(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [student = get_string(o, "student"),
            overrides = to_overrides(get_object(o, "config")),
            options = to_cat_seg_train(get_object(o, "train")),
            group_options = to_process_group(o)](const Call& call) {
      // Joined before anything can fail, so that the others, who wait for this
      // rank, hear of it.
      std::shared_ptr<ProcessGroup> group;
      if (group_options) {
        group = std::make_shared<ProcessGroup>(*group_options, call);
      }
      const auto from = load_checkpoint(student, overrides);
      call.check();
      return MadeCatSegTrainer{
          std::make_shared<CatSegTrainer>(from, options, group, call),
          describe(from)};
    };
  });
}

Napi::Value CatSegTrainerHandle::step(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), parts = to_cat_seg_parts(o)](
               const Call& call) { return trainer->step(parts, call); };
  });
}

Napi::Value CatSegTrainerHandle::export_checkpoint(
    const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(),
            path = get_string(o, "path"),
            average = get_bool(o, "average")](const Call&) {
      trainer->export_checkpoint(path, average);
    };
  });
}

}  // namespace declip
