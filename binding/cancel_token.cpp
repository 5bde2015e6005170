#include "cancel_token.h"

#include "addon_data.h"
#include "wrap.h"

namespace declip {
namespace {
constexpr napi_type_tag kCancelTag{0x5f0a8e7cd2b94a16, 0x9d3b6c1e40f27a85};
}  // namespace

CancelToken::CancelToken(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<CancelToken>(info),
      flag_(std::make_shared<std::atomic<bool>>(false)) {
  info.This().As<Napi::Object>().TypeTag(&kCancelTag);
}

Napi::Function CancelToken::define(Napi::Env env) {
  return DefineClass(
      env, "CancelToken", {InstanceMethod("cancel", &CancelToken::cancel)});
}

Napi::Value CancelToken::cancel(const Napi::CallbackInfo& info) {
  *flag_ = true;
  addon_data(info.Env()).mailbox->drop_cancelled();
  return info.Env().Undefined();
}

std::shared_ptr<std::atomic<bool>> CancelToken::flag_of(
    const Napi::Value& value) {
  auto* token = unwrap_tagged<CancelToken>(value, kCancelTag);
  return token ? token->flag_ : std::make_shared<std::atomic<bool>>(false);
}

}  // namespace declip
