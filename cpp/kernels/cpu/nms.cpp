// Boxes one after the other, each against those that were kept before it: a
// box that something removed is never compared again, and nothing is done for
// boxes behind the last that is wanted. Most pairs do not meet, which takes 8
// operations side by side in vectors; the rest 5 more and a division. Where
// classes are apart, each has its own list.

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "kernels/nms_args.h"
#include "kernels/nms_math.h"

namespace declip::cpu::DECLIP_CPU_LEVEL {
namespace {

constexpr int64_t kPairs = 64;  // looked at together

/// Boxes that were kept, coordinate by coordinate.
class KeptBoxes {
 public:
  void add(const NmsBox& box) {
    if (count_ == room_) grow();
    float* at = sides_.data() + count_;
    at[0] = box.x1;
    at[room_] = box.y1;
    at[2 * room_] = box.x2;
    at[3 * room_] = box.y2;
    at[4 * room_] = box.area;
    ++count_;
  }

  bool removes(const NmsBox& box, float threshold) const {
    const float* __restrict x1 = sides_.data();
    const float* __restrict y1 = x1 + room_;
    const float* __restrict x2 = y1 + room_;
    const float* __restrict y2 = x2 + room_;
    const float* __restrict area = y2 + room_;
    for (int64_t begin = 0; begin < count_; begin += kPairs) {
      const int64_t end = std::min(count_, begin + kPairs);
      int32_t meets = 0;
      for (int64_t i = begin; i < end; ++i) {
        const float width = nms_side(x1[i], box.x1, x2[i], box.x2);
        const float height = nms_side(y1[i], box.y1, y2[i], box.y2);
        meets |=
            static_cast<int32_t>(width > 0) & static_cast<int32_t>(height > 0);
      }
      if (meets == 0) continue;
      int32_t removed = 0;
      for (int64_t i = begin; i < end; ++i) {
        removed |= static_cast<int32_t>(
            nms_overlap(nms_side(x1[i], box.x1, x2[i], box.x2),
                        nms_side(y1[i], box.y1, y2[i], box.y2),
                        area[i],
                        box.area,
                        threshold));
      }
      if (removed != 0) return true;
    }
    return false;
  }

 private:
  void grow() {
    const int64_t room = std::max<int64_t>(2 * room_, 16);
    std::vector<float> sides(5 * room);
    for (int64_t part = 0; part < 5; ++part) {
      std::copy_n(
          sides_.begin() + part * room_, count_, sides.begin() + part * room);
    }
    sides_ = std::move(sides);
    room_ = room;
  }

  std::vector<float> sides_;  // [5, room]
  int64_t count_ = 0, room_ = 0;
};

}  // namespace

void nms(const NmsArgs& args) {
  const bool apart = args.classes != nullptr && args.apart;
  std::unordered_map<int64_t, KeptBoxes> lists;
  KeptBoxes all;
  std::fill_n(args.kept, args.count, uint8_t{0});
  int64_t kept = 0;
  for (int64_t i = 0; i < args.count && kept < args.limit; ++i) {
    const NmsBox box = nms_box(args.boxes, args.classes, args.shift, i);
    KeptBoxes& list = apart ? lists[args.classes[i]] : all;
    if (list.removes(box, args.threshold)) continue;
    list.add(box);
    args.kept[i] = 1;
    ++kept;
  }
}

}  // namespace declip::cpu::DECLIP_CPU_LEVEL
