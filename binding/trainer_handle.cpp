#include "trainer_handle.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon_data.h"
#include "declip/checkpoint.h"
#include "declip/error.h"
#include "declip/initial.h"
#include "declip/process_group.h"
#include "model_options.h"
#include "queued.h"
#include "train_options.h"

namespace declip {

struct MadeTrainer {
  std::shared_ptr<Trainer> trainer;
  CheckpointInfo student;
};

namespace {

TrainOptions to_train(const Napi::Object& o) {
  TrainOptions out;
  out.objective = objective_from(get_string(o, "objective"));
  out.mode = dense_mode_from(get_string(o, "mode"));
  out.content_weight = get_number(o, "contentWeight");
  out.context_weight = get_number(o, "contextWeight");
  out.context_per_head = find_bool(o, "contextPerHead");
  out.class_features = find_tensor(o, "classFeatures");
  out.least_classes = get_integer(o, "leastClasses");
  out.region_loss = region_loss_from(get_string(o, "regionLoss"));
  out.region_weight = get_number(o, "regionWeight");
  out.unlocked_groups = find_integer(o, "unlockedGroups");
  out.train_text = get_bool(o, "trainText");
  out.schedule = to_schedule(get_object(o, "schedule"));
  out.beta1 = find_number(o, "beta1");
  out.beta2 = find_number(o, "beta2");
  out.epsilon = find_number(o, "epsilon");
  out.weight_decay = get_number(o, "weightDecay");
  out.clip_norm = get_number(o, "clipNorm");
  out.ema_decay = get_number(o, "emaDecay");
  out.device = get_string(o, "device");
  out.dtype = get_string(o, "dtype");
  out.checkpoint_activations = get_bool(o, "checkpointActivations");
  out.seed = static_cast<uint64_t>(get_integer(o, "seed"));
  return out;
}

ModelConfig to_model(const Napi::Object& o) {
  ModelConfig out;
  out.family = &family_named(get_string(o, "family"));
  const auto known = to_overrides(o);  // activation, mean and std
  if (known.pixels) out.pixels = *known.pixels;
  auto& v = out.vision;
  v.image_size = get_integer(o, "imageSize");
  v.patch = get_integer(o, "patchSize");
  v.grid = v.patch > 0 ? v.image_size / v.patch : 0;
  v.width = get_integer(o, "width");
  v.layers = get_integer(o, "layers");
  v.heads = get_integer(o, "heads");
  v.mlp_hidden = get_integer(o, "mlp");
  v.embed_dim = get_integer(o, "embedDim");
  v.activation = known.activation.value_or(Activation::kGelu);
  if (o.Get("text").IsUndefined()) return out;
  const auto text = get_object(o, "text");
  TextConfig t;
  t.width = get_integer(text, "width");
  t.layers = get_integer(text, "layers");
  t.heads = get_integer(text, "heads");
  t.context = get_integer(text, "contextLength");
  t.vocab = get_integer(text, "vocab");
  t.embed_dim = v.embed_dim;
  out.text = t;
  return out;
}

std::vector<TrainBatch> to_parts(const Napi::Object& o) {
  const auto value = o.Get("parts");
  if (!value.IsArray()) {
    throw Error(ErrorCode::kInvalidArg, "parts must be an array of batches.");
  }
  const auto array = value.As<Napi::Array>();
  std::vector<TrainBatch> parts;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value part = array.Get(i);
    if (!part.IsObject()) {
      throw Error(ErrorCode::kInvalidArg, "parts must hold batches.");
    }
    const auto batch = part.As<Napi::Object>();
    TrainBatch out;
    out.images = find_tensor(batch, "images");
    out.boxes = find_tensor(batch, "boxes");
    out.crops = find_tensor(batch, "crops");
    out.vfm_features = find_tensor(batch, "vfmFeatures");
    out.labels = find_tensor(batch, "labels");
    out.tokens = find_tensor(batch, "tokens");
    out.region_tokens = find_tensor(batch, "regionTokens");
    parts.push_back(std::move(out));
  }
  return parts;
}

}  // namespace

Napi::Value to_js(Napi::Env env, const TrainStep& step) {
  auto losses = Napi::Object::New(env);
  for (const auto& [name, value] : step.losses) losses.Set(name, value);
  auto out = Napi::Object::New(env);
  out.Set("step", static_cast<double>(step.step));
  out.Set("losses", losses);
  out.Set("total", step.total);
  out.Set("gradientNorm", step.gradient_norm);
  out.Set("learningRate", step.learning_rate);
  return out;
}

Napi::Value to_js(Napi::Env env, const MadeTrainer& made) {
  auto held = made.trainer;
  auto handle = addon_data(env).trainer.New(
      {Napi::External<std::shared_ptr<Trainer>>::New(env, &held)});
  handle.Set("info", to_js(env, made.student));
  return handle;
}

TrainerHandle::TrainerHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TrainerHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(env, "Trainers are made with createTrainer().");
  }
  trainer_ = *info[0].As<Napi::External<std::shared_ptr<Trainer>>>().Data();
  const auto names = trainer_->trainable();
  auto trainable = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); ++i) trainable.Set(i, names[i]);
  info.This().As<Napi::Object>().DefineProperty(
      Napi::PropertyDescriptor::Value("trainable", trainable, napi_enumerable));
  reported_bytes_ = trainer_->bytes();
  Napi::MemoryManagement::AdjustExternalMemory(env, reported_bytes_);
}

TrainerHandle::~TrainerHandle() { release(Env()); }

void TrainerHandle::release(Napi::Env env) {
  if (!trainer_) return;
  trainer_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -reported_bytes_);
}

Napi::Function TrainerHandle::define(Napi::Env env) {
  return DefineClass(
      env,
      "NativeTrainer",
      {InstanceMethod("step", &TrainerHandle::step),
       InstanceMethod("anyRank", &TrainerHandle::any_rank),
       InstanceMethod("save", &TrainerHandle::save),
       InstanceMethod("load", &TrainerHandle::load),
       InstanceMethod("exportCheckpoint", &TrainerHandle::export_checkpoint),
       InstanceMethod("dispose", &TrainerHandle::dispose)});
}

const std::shared_ptr<Trainer>& TrainerHandle::trainer() const {
  if (!trainer_)
    throw Error(ErrorCode::kDisposed, "This trainer was disposed.");
  return trainer_;
}

Napi::Value TrainerHandle::create(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [student = get_string(o, "student"),
            pretrained = find_string(o, "pretrained"),
            overrides = to_overrides(get_object(o, "config")),
            options = to_train(get_object(o, "train")),
            group_options = to_process_group(o)](const Call& call) {
      // Joined before anything can fail, so that the others, who wait for this
      // rank, hear of it.
      std::shared_ptr<ProcessGroup> group;
      if (group_options) {
        group = std::make_shared<ProcessGroup>(*group_options, call);
      }
      const auto from = load_checkpoint(student, overrides);
      std::optional<Checkpoint> other;
      if (pretrained) other = load_checkpoint(*pretrained, overrides);
      call.check();
      return MadeTrainer{
          std::make_shared<Trainer>(from, other, options, group, call),
          describe(from)};
    };
  });
}

Napi::Value TrainerHandle::create_checkpoint(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [path = get_string(o, "path"),
            config = to_model(get_object(o, "model")),
            seed = static_cast<uint64_t>(get_integer(o, "seed")),
            start = start_from(get_string(o, "start"))](const Call&) {
      write_initial_checkpoint(path, config, seed, start);
    };
  });
}

Napi::Value TrainerHandle::step(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), parts = to_parts(o)](const Call& call) {
      return trainer->step(parts, call);
    };
  });
}

Napi::Value TrainerHandle::any_rank(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), value = get_bool(o, "value")](
               const Call& call) { return trainer->any_rank(value, call); };
  });
}

Napi::Value TrainerHandle::save(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), path = get_string(o, "path")](const Call&) {
      trainer->save(path);
    };
  });
}

Napi::Value TrainerHandle::load(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), path = get_string(o, "path")](const Call&) {
      trainer->load(path);
      return trainer->step_count();
    };
  });
}

Napi::Value TrainerHandle::export_checkpoint(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(),
            path = get_string(o, "path"),
            alpha = get_number(o, "alpha"),
            average = get_bool(o, "average")](const Call&) {
      trainer->export_checkpoint(path, alpha, average);
    };
  });
}

Napi::Value TrainerHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
