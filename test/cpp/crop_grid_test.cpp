#include "segment/crop_grid.h"

#include <set>
#include <string>

#include "golden.h"
#include "segment/mask_generator.h"
#include "tap.h"

using declip::Size;

namespace {

Size read_size(const declip::Json& json) {
  const auto& sides = *json.array();
  return {*sides[0].integer(), *sides[1].integer()};
}

std::vector<int64_t> read_numbers(const declip::Json& json) {
  std::vector<int64_t> out;
  for (const auto& number : *json.array()) out.push_back(*number.integer());
  return out;
}

}  // namespace

TEST(point_grids_are_the_authors) {
  const Golden golden("sam-decoder");
  const auto& values = *golden.at("point-grids").find("values");
  for (const auto& grid : *values.find("grids")->array()) {
    const auto sides = read_numbers(*grid.find("per_side"));
    const auto& rows = *grid.find("first_row")->array();
    for (size_t layer = 0; layer < sides.size(); ++layer) {
      const auto points = declip::point_grid(sides[layer]);
      const auto n = static_cast<size_t>(sides[layer]);
      CHECK(points.size() == 2 * n * n);
      for (size_t i = 0; i < n; ++i) {
        const double wanted = *(*rows[layer].array())[i].number();
        CHECK(points[2 * i] == wanted);          // x fastest
        CHECK(points[2 * i * n + 1] == wanted);  // then y
      }
    }
  }
}

TEST(crop_boxes_are_the_authors) {
  const Golden golden("sam-decoder");
  const auto& values = *golden.at("crop-boxes").find("values");
  for (const auto& table : *values.find("tables")->array()) {
    const auto crops = declip::crop_boxes(read_size(*table.find("size_hw")),
                                          *table.find("layers")->integer(),
                                          *table.find("ratio")->number());
    const auto& boxes = *table.find("boxes_xyxy")->array();
    const auto layers = read_numbers(*table.find("layer"));
    CHECK(crops.size() == boxes.size());
    for (size_t i = 0; i < std::min(crops.size(), boxes.size()); ++i) {
      const auto& c = crops[i];
      CHECK(read_numbers(boxes[i]) ==
            (std::vector<int64_t>{c.x0, c.y0, c.x1, c.y1}));
      CHECK(c.layer == layers[i]);
    }
  }
}

TEST(crops_of_small_pictures_have_pixels_and_cover_them) {
  for (const Size size : {Size{1, 1}, Size{3, 2}, Size{5, 40}, Size{17, 9}}) {
    std::set<std::pair<int64_t, int64_t>> covered;
    for (const auto& crop : declip::crop_boxes(size, 3, 512.0 / 1500)) {
      CHECK(crop.x0 < crop.x1 && crop.y0 < crop.y1);
      CHECK(crop.x1 <= size.width && crop.y1 <= size.height);
      for (int64_t y = crop.y0; crop.layer == 3 && y < crop.y1; ++y) {
        for (int64_t x = crop.x0; x < crop.x1; ++x) covered.insert({y, x});
      }
    }
    CHECK(static_cast<int64_t>(covered.size()) == size.height * size.width);
  }
}

TEST(boxes_near_edges_of_crops_are_the_authors) {
  const Golden golden("sam-decoder");
  const auto& one = golden.at("edge-filter");
  const auto& boxes = *one.find("inputs")->find("boxes_in_crop_xyxy")->array();
  const auto picture = read_size(*one.find("inputs")->find("picture_hw"));
  for (const auto& row : *one.find("values")->find("table")->array()) {
    const auto sides = read_numbers(*row.find("crop_xyxy"));
    const declip::PictureCrop crop{sides[0], sides[1], sides[2], sides[3], 1};
    for (size_t i = 0; i < boxes.size(); ++i) {
      int32_t box[4];
      for (size_t k = 0; k < 4; ++k) {
        box[k] = static_cast<int32_t>(*(*boxes[i].array())[k].integer());
      }
      CHECK(declip::is_near_crop_edge(box, crop, picture) ==
            *(*row.find("near_edge")->array())[i].boolean());
    }
  }
}
