#include "region_calls.h"

#include "declip/job_size.h"
#include "declip/region_features.h"
#include "queued.h"

namespace declip {
namespace {

PoolOptions to_pooling(const Napi::Object& o) {
  PoolOptions options;
  options.normalize = get_bool(o, "normalize");
  options.image_index = get_integers(o, "imageIndex");
  return options;
}

Size get_input_size(const Napi::Object& o) {
  return {get_integer(o, "height"), get_integer(o, "width")};
}

}  // namespace

Napi::Value pool_box_features(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    const auto map = get_tensor(o, "map"), boxes = get_tensor(o, "boxes");
    return Sized{
        size_of_pooling(map, boxes),
        [map, boxes, input = get_input_size(o), options = to_pooling(o)](
            const Call&) { return pool_boxes(map, input, boxes, options); }};
  });
}

Napi::Value pool_mask_features(const Napi::CallbackInfo& info) {
  return queued(info, [](const Napi::Object& o) {
    const auto map = get_tensor(o, "map"), masks = get_tensor(o, "masks");
    return Sized{size_of_pooling(map, masks),
                 [map,
                  masks,
                  input = get_input_size(o),
                  padded = get_bool(o, "padded"),
                  options = to_pooling(o)](const Call&) {
                   return pool_masks(map, input, masks, padded, options);
                 }};
  });
}

Napi::Value mask_boxes(const Napi::CallbackInfo& info) {
  return queued(
      info,
      [](const Napi::Object& o) {
        return [masks = get_tensor(o, "masks")](const Call&) {
          return boxes_of_masks(masks);
        };
      },
      Lane::kPreparation);
}

}  // namespace declip
