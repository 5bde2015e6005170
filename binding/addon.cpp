#include <napi.h>

#include <memory>

#include "addon_data.h"
#include "bank_handle.h"
#include "cancel_token.h"
#include "cat_seg_trainer_handle.h"
#include "declip/code_pages.h"
#include "declip/runtime.h"
#include "detector_trainer_handle.h"
#include "detector_view_handle.h"
#include "evaluate_calls.h"
#include "file_calls.h"
#include "image_calls.h"
#include "label_calls.h"
#include "make_batch.h"
#include "make_cat_seg_batch.h"
#include "make_detector_batch.h"
#include "mask_calls.h"
#include "mask_view_handle.h"
#include "memory_calls.h"
#include "model_handle.h"
#include "region_calls.h"
#include "runtime_calls.h"
#include "talk2dino_calls.h"
#include "tensor_calls.h"
#include "tensor_handle.h"
#include "trainer_handle.h"
#include "view_handle.h"

namespace declip {
namespace {

/// process.exit() and uncaught exceptions end a process without cleaning up its
/// environment; LibTorch's static destructors must not run under a running job.
void close_at_exit(Napi::Env env, const std::shared_ptr<Mailbox>& mailbox) {
  env.AddCleanupHook([mailbox] { mailbox->close(); });
  const auto process = env.Global().Get("process").As<Napi::Object>();
  const auto close = [mailbox](const Napi::CallbackInfo&) { mailbox->close(); };
  process.Get("once").As<Napi::Function>().Call(
      process,
      {Napi::String::New(env, "exit"),
       Napi::Function::New(env, close, "declipExit")});
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  if (!kernels_run_here()) {
    throw Napi::Error::New(
        env,
        "This processor lacks what the addon's kernels need: AVX2 and FMA on "
        "x86-64, or what the machine has on which it was built for that one "
        "alone (`npm run build` makes it again for this one).");
  }
  // What only loading LibTorch ran; once for all environments.
  static const auto dropped = drop_code_pages();
  static_cast<void>(dropped);
  auto data = std::make_unique<AddonData>();
  data->mailbox = std::make_shared<Mailbox>(env);
  data->tensor = Napi::Persistent(TensorHandle::define(env));
  data->model = Napi::Persistent(ModelHandle::define(env));
  data->view = Napi::Persistent(ViewHandle::define(env));
  data->mask_view = Napi::Persistent(MaskViewHandle::define(env));
  data->detector_view = Napi::Persistent(DetectorViewHandle::define(env));
  data->bank = Napi::Persistent(BankHandle::define(env));
  data->trainer = Napi::Persistent(TrainerHandle::define(env));
  data->detector_trainer = Napi::Persistent(DetectorTrainerHandle::define(env));
  data->cat_seg_trainer = Napi::Persistent(CatSegTrainerHandle::define(env));
  close_at_exit(env, data->mailbox);
  env.SetInstanceData(
      data.release());  // Node-API deletes it with the environment

  exports.Set("CancelToken", CancelToken::define(env));
  const auto function = [&](const char* name,
                            Napi::Value (*call)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, call, name));
  };
  function("runtime", runtime_info);
  function("setThreads", set_threads);
  function("queueStats", queue_stats);
  function("ticket", ticket);
  function("memoryUse", get_memory_use);
  function("setMemoryBudget", set_budget);
  function("reserveMemory", reserve);
  function("unreserveMemory", unreserve);
  function("tensor", TensorHandle::create);
  function("pooledTensor", TensorHandle::create_pooled);
  function("inspect", inspect);
  function("loadModel", ModelHandle::load);
  function("openBank", BankHandle::open);
  function("bankOf", BankHandle::from_rows);
  function("addToBank", BankHandle::add);
  function("createTrainer", TrainerHandle::create);
  function("createDetectorTrainer", DetectorTrainerHandle::create);
  function("createCatSegTrainer", CatSegTrainerHandle::create);
  function("createCheckpoint", TrainerHandle::create_checkpoint);
  function("makeBatch", make_batch);
  function("makeDetectorBatch", make_detector_batch_call);
  function("makeCatSegBatch", make_cat_seg_batch_call);
  function("joinMaps", join_maps_call);
  function("preprocess", preprocess_image);
  function("resize", resize_image);
  function("countWindows", window_count);
  function("detach", detach_buffer);
  function("mixText", mix_text);
  function("similarity", similarity);
  function("poolBoxes", pool_box_features);
  function("poolMasks", pool_mask_features);
  function("maskBoxes", mask_boxes);
  function("blendColors", blend_label_colors);
  function("countLabels", count_label_pairs);
  function("averagePrecision", average_precision);
  function("labelRuns", label_runs);
  function("labelStrings", label_strings);
  function("labelPolygons", label_polygons);
  function("objects", label_objects);
  function("masks", fill_mask_shapes);
  function("labelMasks", label_masks);
  function("paintShapes", paint_shapes);
  function("paintMasks", paint_masks);
  function("regionValues", list_regions);
  function("regionMasks", region_masks);
  function("rleOf", measured_rles);
  function("readEmbeddings", read_embedding_file);
  function("readTextProjection", read_projection_file);
  function("projectWords", project_word_features);
  function("readSafetensors", read_file);
  function("writeSafetensors", write_file);
  return exports;
}

}  // namespace
}  // namespace declip

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return declip::init(env, exports);
}
NODE_API_MODULE(declip_native, Init)
