#include "bank_handle.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "addon_data.h"
#include "declip/error.h"
#include "declip/job_size.h"
#include "queued.h"
#include "tensor_handle.h"
#include "wrap.h"

namespace declip {

struct BankPictures {
  std::vector<std::string> names;
  std::vector<int64_t> counts;
};

static Napi::Value to_js(Napi::Env env, const BankPictures& pictures) {
  auto names = Napi::Array::New(env, pictures.names.size());
  for (uint32_t i = 0; i < pictures.names.size(); ++i)
    names[i] = pictures.names[i];
  auto out = Napi::Object::New(env);
  out.Set("names", names);
  out.Set("counts", copied<Napi::Float64Array>(env, pictures.counts));
  return out;
}

static Napi::Value to_js(Napi::Env env, const Neighbours& found) {
  auto out = Napi::Object::New(env);
  out.Set("ids", to_js(env, found.ids));
  out.Set("scores", to_js(env, found.scores));
  return out;
}

static Napi::Value to_js(Napi::Env env, const BankRows& rows) {
  auto values = Napi::Array::New(env, rows.values.size());
  for (uint32_t i = 0; i < rows.values.size(); ++i)
    values[i] = to_js(env, rows.values[i]);
  auto out = Napi::Object::New(env);
  out.Set("keys", to_js(env, rows.keys));
  out.Set("values", values);
  return out;
}

namespace {

constexpr napi_type_tag kBankTag{0x5a0d6be4f1c2497e, 0x9b3c7d10e86fa254};

/// A list of tensors, one below the other.
at::Tensor get_stacked(const Napi::Value& list, const char* key) {
  if (!list.IsArray()) throw wrong(key, "a list of tensors");
  const auto items = list.As<Napi::Array>();
  std::vector<at::Tensor> parts;
  for (uint32_t i = 0; i < items.Length(); ++i)
    parts.push_back(TensorHandle::from(items.Get(i)));
  if (parts.empty()) throw wrong(key, "a list of tensors");
  for (const auto& part : parts) {
    if (part.dim() != 2 || part.size(1) != parts[0].size(1)) {
      throw wrong(key, "tensors [N, width] of one width");
    }
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

/// Of a picture's list that a caller's names and counts are.
BankRows get_rows(const Napi::Object& o) {
  BankRows rows;
  const auto names = get_object(o, "names");
  if (!names.IsArray()) throw wrong("names", "a list of names");
  const auto items = names.As<Napi::Array>();
  for (uint32_t i = 0; i < items.Length(); ++i) {
    const Napi::Value name = items.Get(i);
    if (!name.IsString()) throw wrong("names", "a list of names");
    rows.names.push_back(name.As<Napi::String>());
  }
  rows.counts = get_integers(o, "counts");
  rows.keys = get_stacked(o.Get("keys"), "keys");
  const auto sets = get_object(o, "values");
  if (!sets.IsArray()) throw wrong("values", "lists of tensors");
  for (uint32_t i = 0; i < sets.As<Napi::Array>().Length(); ++i)
    rows.values.push_back(get_stacked(sets.Get(i), "values"));
  return rows;
}

/// A search reads every key once for some hundred queries.
JobSize size_of_search(const Bank& bank, int64_t queries) {
  return {2.0 * static_cast<double>(bank.info().regions) *
              static_cast<double>(bank.info().key_width) *
              static_cast<double>(std::max<int64_t>(queries, 4)),
          0};
}

}  // namespace

BankHandle::BankHandle(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<BankHandle>(info) {
  const auto env = info.Env();
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throw Napi::TypeError::New(env, "Banks are made with Bank.open().");
  }
  bank_ = *info[0].As<Napi::External<std::shared_ptr<const Bank>>>().Data();
  auto self = info.This().As<Napi::Object>();
  self.TypeTag(&kBankTag);
  const auto& about = bank_->info();
  auto out = Napi::Object::New(env);
  const auto number = [&](const char* name, int64_t value) {
    out.Set(name, Napi::Number::New(env, static_cast<double>(value)));
  };
  out.Set("about", about.about);
  number("regions", about.regions);
  number("pictures", about.pictures);
  number("parts", about.parts);
  number("bytes", about.bytes);
  number("unfinished", about.unfinished);
  number("keyWidth", about.key_width);
  auto widths = Napi::Array::New(env, about.value_widths.size());
  for (uint32_t i = 0; i < about.value_widths.size(); ++i) {
    widths[i] =
        Napi::Number::New(env, static_cast<double>(about.value_widths[i]));
  }
  out.Set("valueWidths", widths);
  self.DefineProperty(
      Napi::PropertyDescriptor::Value("info", out, napi_enumerable));
}

Napi::Function BankHandle::define(Napi::Env env) {
  return DefineClass(env,
                     "NativeBank",
                     {InstanceMethod("search", &BankHandle::search),
                      InstanceMethod("pictures", &BankHandle::pictures),
                      InstanceMethod("rows", &BankHandle::rows),
                      InstanceMethod("verify", &BankHandle::verify),
                      InstanceMethod("save", &BankHandle::save),
                      InstanceMethod("dispose", &BankHandle::dispose)});
}

std::shared_ptr<const Bank> BankHandle::from(const Napi::Value& value) {
  const auto* handle = unwrap_tagged<BankHandle>(value, kBankTag);
  if (!handle) throw Error(ErrorCode::kInvalidArg, "A Bank was expected.");
  return handle->bank();
}

std::shared_ptr<const Bank> BankHandle::bank() const {
  if (!bank_) throw Error(ErrorCode::kDisposed, "This bank was disposed.");
  return bank_;
}

Napi::Value to_js(Napi::Env env, const std::shared_ptr<const Bank>& bank) {
  auto held = bank;
  return addon_data(env).bank.New(
      {Napi::External<std::shared_ptr<const Bank>>::New(env, &held)});
}

Napi::Value to_js(Napi::Env env, const PictureRows& rows) {
  auto out = Napi::Object::New(env);
  out.Set(
      "keys",
      rows.keys.defined() ? to_js(env, rows.keys) : Napi::Value(env.Null()));
  out.Set("values", to_js(env, rows.values));
  return out;
}

Napi::Value BankHandle::open(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return Sized{JobSize{}, [path = get_string(o, "path")](const Call&) {
                   return Bank::open(path);
                 }};
  });
}

Napi::Value BankHandle::from_rows(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return Sized{JobSize{},
                 [about = get_string(o, "about"), rows = get_rows(o)](
                     const Call&) { return Bank::from_rows(about, rows); }};
  });
}

Napi::Value BankHandle::add(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    return Sized{
        JobSize{},
        [path = get_string(o, "path"),
         about = get_string(o, "about"),
         rows = get_rows(o)](const Call&) { add_to_bank(path, about, rows); }};
  });
}

Napi::Value BankHandle::search(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    const auto queries = get_tensor(o, "queries");
    return Sized{
        size_of_search(*bank(), queries.dim() > 0 ? queries.size(0) : 0),
        [bank = bank(), queries, k = get_integer(o, "neighbours")](
            const Call& call) { return bank->search(queries, k, call); }};
  });
}

Napi::Value BankHandle::pictures(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object&) {
    return Sized{JobSize{}, [bank = bank()](const Call&) {
                   BankPictures out;
                   bank->pictures(out.names, out.counts);
                   return out;
                 }};
  });
}

Napi::Value BankHandle::rows(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return Sized{JobSize{},
                 [bank = bank(),
                  first = get_integer(o, "first"),
                  last = get_integer(o, "last")](const Call&) {
                   return bank->rows(first, last);
                 }};
  });
}

Napi::Value BankHandle::verify(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object&) {
    return Sized{JobSize{},
                 [bank = bank()](const Call& call) { bank->verify(call); }};
  });
}

Napi::Value BankHandle::save(const Napi::CallbackInfo& info) {
  return queued(info, [this](const Napi::Object& o) {
    return Sized{JobSize{},
                 [bank = bank(), path = get_string(o, "path")](
                     const Call& call) { bank->save(path, call); }};
  });
}

Napi::Value BankHandle::dispose(const Napi::CallbackInfo& info) {
  bank_.reset();
  return info.Env().Undefined();
}

}  // namespace declip
