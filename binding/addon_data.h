#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "declip/memory.h"
#include "queue.h"

namespace declip {

/// What one environment (main thread or worker) owns. Lives until the
/// environment is torn down; nothing here is shared between environments.
struct AddonData {
  AddonData() = default;
  AddonData(const AddonData&) = delete;
  AddonData& operator=(const AddonData&) = delete;
  ~AddonData() { release_memory(reserved); }

  std::shared_ptr<Mailbox> mailbox;
  Napi::FunctionReference tensor, model, view, mask_view, detector_view,
      trainer, detector_trainer, cat_seg_trainer, bank;  // constructors
  int64_t reserved = 0;  // bytes of decoded pictures
};

inline AddonData& addon_data(Napi::Env env) {
  return *env.GetInstanceData<AddonData>();
}

}  // namespace declip
