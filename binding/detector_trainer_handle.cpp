#include "detector_trainer_handle.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon_data.h"
#include "declip/checkpoint.h"
#include "declip/error.h"
#include "declip/process_group.h"
#include "model_options.h"
#include "queued.h"
#include "train_options.h"
#include "trainer_handle.h"

namespace declip {

struct MadeDetectorTrainer {
  std::shared_ptr<DetectorTrainer> trainer;
  CheckpointInfo student;
};

/// What a tower gave of pictures.
struct TowerMaps {
  std::vector<at::Tensor> maps;
};

namespace {

DetectorTrainOptions to_detector_train(const Napi::Object& o) {
  DetectorTrainOptions out;
  out.channels = find_integer(o, "channels").value_or(out.channels);
  out.hidden = find_integer(o, "hidden").value_or(out.hidden);
  out.convolutions = find_integer(o, "convolutions").value_or(out.convolutions);
  out.masks = get_bool(o, "masks");
  out.rpn_norm = get_bool(o, "rpnNorm");
  out.side = get_integer(o, "side");
  out.blocks = get_integers(o, "blocks");
  out.mode = dense_mode_from(get_string(o, "mode"));
  out.classes = get_texts(o, "classes");
  out.novel = get_texts(o, "novel");
  out.words = find_tensor(o, "words");
  out.temperature = get_number(o, "temperature");
  out.background_weight = get_number(o, "backgroundWeight");
  out.rpn_samples = get_integer(o, "rpnSamples");
  out.per_level = get_integer(o, "perLevel");
  out.proposals = get_integer(o, "proposals");
  out.proposal_nms = get_number(o, "proposalNms");
  out.box_samples = get_integer(o, "boxSamples");
  out.box_positive_share = get_number(o, "boxPositiveShare");
  out.box_iou = get_number(o, "boxIou");
  out.low_quality_boxes = get_bool(o, "lowQualityBoxes");
  out.schedule = to_schedule(get_object(o, "schedule"));
  out.beta1 = find_number(o, "beta1").value_or(out.beta1);
  out.beta2 = find_number(o, "beta2").value_or(out.beta2);
  out.epsilon = find_number(o, "epsilon").value_or(out.epsilon);
  out.weight_decay = get_number(o, "weightDecay");
  out.clip_norm = get_number(o, "clipNorm");
  out.ema_decay = get_number(o, "emaDecay");
  out.norm_momentum = get_number(o, "normMomentum");
  out.alpha = find_number(o, "alpha");
  out.beta = find_number(o, "beta");
  out.vote_temperature = find_number(o, "voteTemperature");
  out.device = get_string(o, "device");
  out.dtype = get_string(o, "dtype");
  out.seed = static_cast<uint64_t>(get_integer(o, "seed"));
  return out;
}

/// Copies of a typed array's numbers.
template <class Array, class Element>
at::Tensor numbers_of(const Napi::Object& o,
                      const char* key,
                      napi_typedarray_type type,
                      at::ScalarType dtype,
                      const char* expected) {
  const auto value = o.Get(key);
  if (!value.IsTypedArray() ||
      value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw wrong(key, expected);
  }
  const auto array = value.As<Array>();
  auto out = at::empty({static_cast<int64_t>(array.ElementLength())}, dtype);
  std::copy_n(array.Data(),
              array.ElementLength(),
              out.template mutable_data_ptr<Element>());
  return out;
}

DetectorSample to_sample(const Napi::Object& o) {
  DetectorSample out;
  out.size.width = get_integer(o, "width");
  out.size.height = get_integer(o, "height");
  const auto boxes = numbers_of<Napi::Float32Array, float>(
      o, "boxes", napi_float32_array, at::kFloat, "a Float32Array");
  if (boxes.numel() % 4 != 0) throw wrong("boxes", "four numbers a box");
  out.boxes = boxes.view({-1, 4});
  out.labels = numbers_of<Napi::Int32Array, int32_t>(
      o, "labels", napi_int32_array, at::kInt, "an Int32Array");
  out.masks = find_tensor(o, "masks");
  out.seed = static_cast<uint64_t>(get_integer(o, "seed"));
  return out;
}

template <class T, class Read>
std::vector<T> list_of(const Napi::Object& o, const char* key, Read&& read) {
  const auto value = o.Get(key);
  if (!value.IsArray()) throw wrong(key, "an array");
  const auto array = value.As<Napi::Array>();
  std::vector<T> out;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    const Napi::Value item = array.Get(i);
    if (!item.IsObject()) throw wrong(key, "an array of objects");
    out.push_back(read(item.As<Napi::Object>()));
  }
  return out;
}

std::vector<DetectorBatch> to_detector_parts(const Napi::Object& o) {
  return list_of<DetectorBatch>(o, "parts", [](const Napi::Object& part) {
    DetectorBatch out;
    out.images = find_tensor(part, "images");
    if (!part.Get("maps").IsUndefined()) {
      const auto maps = get_object(part, "maps");
      const auto count = maps.As<Napi::Array>().Length();
      for (uint32_t i = 0; i < count; ++i) {
        out.maps.push_back(get_tensor(maps, std::to_string(i).c_str()));
      }
    }
    out.samples = list_of<DetectorSample>(part, "samples", to_sample);
    return out;
  });
}

}  // namespace

Napi::Value to_js(Napi::Env env, const MadeDetectorTrainer& made) {
  auto held = made.trainer;
  auto handle = addon_data(env).detector_trainer.New(
      {Napi::External<std::shared_ptr<DetectorTrainer>>::New(env, &held)});
  handle.Set("info", to_js(env, made.student));
  return handle;
}

Napi::Value to_js(Napi::Env env, const TowerMaps& made) {
  auto out = Napi::Array::New(env, made.maps.size());
  for (uint32_t i = 0; i < made.maps.size(); ++i) {
    out.Set(i, to_js(env, made.maps[i]));
  }
  return out;
}

DetectorTrainerHandle::DetectorTrainerHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<DetectorTrainerHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(
        env, "Detector trainers are made with createDetectorTrainer().");
  }
  trainer_ =
      *info[0].As<Napi::External<std::shared_ptr<DetectorTrainer>>>().Data();
  const auto names = trainer_->trainable();
  auto trainable = Napi::Array::New(env, names.size());
  for (uint32_t i = 0; i < names.size(); ++i) trainable.Set(i, names[i]);
  info.This().As<Napi::Object>().DefineProperty(
      Napi::PropertyDescriptor::Value("trainable", trainable, napi_enumerable));
  reported_bytes_ = trainer_->bytes();
  Napi::MemoryManagement::AdjustExternalMemory(env, reported_bytes_);
}

DetectorTrainerHandle::~DetectorTrainerHandle() { release(Env()); }

void DetectorTrainerHandle::release(Napi::Env env) {
  if (!trainer_) return;
  trainer_.reset();
  Napi::MemoryManagement::AdjustExternalMemory(env, -reported_bytes_);
}

Napi::Function DetectorTrainerHandle::define(Napi::Env env) {
  using Handle = DetectorTrainerHandle;
  return DefineClass(
      env,
      "NativeDetectorTrainer",
      {InstanceMethod("step", &Handle::step),
       InstanceMethod("towerMaps", &Handle::tower_maps),
       InstanceMethod("anyRank", &Handle::any_rank),
       InstanceMethod("save", &Handle::save),
       InstanceMethod("load", &Handle::load),
       InstanceMethod("exportCheckpoint", &Handle::export_checkpoint),
       InstanceMethod("dispose", &Handle::dispose)});
}

const std::shared_ptr<DetectorTrainer>& DetectorTrainerHandle::trainer() const {
  if (!trainer_)
    throw Error(ErrorCode::kDisposed, "This trainer was disposed.");
  return trainer_;
}

Napi::Value DetectorTrainerHandle::create(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return [student = get_string(o, "student"),
            overrides = to_overrides(get_object(o, "config")),
            options = to_detector_train(get_object(o, "train")),
            group_options = to_process_group(o)](const Call& call) {
      // Joined before anything can fail, so that the others, who wait for this
      // rank, hear of it.
      std::shared_ptr<ProcessGroup> group;
      if (group_options) {
        group = std::make_shared<ProcessGroup>(*group_options, call);
      }
      const auto from = load_checkpoint(student, overrides);
      call.check();
      return MadeDetectorTrainer{
          std::make_shared<DetectorTrainer>(from, options, group, call),
          describe(from)};
    };
  });
}

Napi::Value DetectorTrainerHandle::step(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), parts = to_detector_parts(o)](
               const Call& call) { return trainer->step(parts, call); };
  });
}

Napi::Value DetectorTrainerHandle::tower_maps(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [this](const Napi::Object& o) {
        return [trainer = trainer(),
                images = get_tensor(o, "images")](const Call& call) {
          return TowerMaps{trainer->tower_maps(images, call)};
        };
      },
      Lane::kPreparation);
}

Napi::Value DetectorTrainerHandle::any_rank(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), value = get_bool(o, "value")](
               const Call& call) { return trainer->any_rank(value, call); };
  });
}

Napi::Value DetectorTrainerHandle::save(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), path = get_string(o, "path")](const Call&) {
      trainer->save(path);
    };
  });
}

Napi::Value DetectorTrainerHandle::load(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(), path = get_string(o, "path")](const Call&) {
      trainer->load(path);
      return trainer->step_count();
    };
  });
}

Napi::Value DetectorTrainerHandle::export_checkpoint(
    const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return [trainer = trainer(),
            path = get_string(o, "path"),
            average = get_bool(o, "average")](const Call&) {
      trainer->export_checkpoint(path, average);
    };
  });
}

Napi::Value DetectorTrainerHandle::dispose(const Napi::CallbackInfo& info) {
  release(info.Env());
  return info.Env().Undefined();
}

}  // namespace declip
