#pragma once

#include <napi.h>

#include <memory>

#include "queue.h"

namespace declip {

/// What one environment (main thread or worker) owns. Lives until the
/// environment is torn down; nothing here is shared between environments.
struct AddonData {
  std::shared_ptr<Mailbox> mailbox;
  Napi::FunctionReference tensor, model, view, trainer;  // constructors
};

inline AddonData& addon_data(Napi::Env env) {
  return *env.GetInstanceData<AddonData>();
}

}  // namespace declip
