#include <c10/core/ScalarType.h>
#include <c10/util/StringUtil.h>

#include <exception>
#include <string>
#include <vector>

#include "kernels/task.h"
#include "line.h"
#include "programs.h"

namespace declip::bench {
namespace {

/// One kernel at one size: what `npm run bench -- kernels` asks for, at sizes
/// that fill a GPU and at sizes for a first look.
struct Case {
  const char* name;
  const char* task;
  const char* sizes;
  const char* small;
  bool typed;  // in float32, bfloat16 and float16
};

const std::vector<Case> kCases{
    {"attention, two terms, B/16",
     "attention",
     R"("batch":64,"tokens":197,"heads":12,"terms":2)",
     R"("batch":1,"tokens":50,"heads":2,"terms":2)",
     true},
    {"attention, eight terms, B/16",
     "attention",
     R"("batch":32,"tokens":197,"heads":12,"terms":8)",
     R"("batch":1,"tokens":50,"heads":2,"terms":8)",
     true},
    {"attention, two terms, L/14",
     "attention",
     R"("batch":32,"tokens":257,"heads":16,"terms":2)",
     R"("batch":1,"tokens":65,"heads":2,"terms":2)",
     true},
    {"attention, two terms, L/14 at 1024 pixels",
     "attention",
     R"("batch":1,"tokens":5330,"heads":16,"terms":2)",
     R"("batch":1,"tokens":120,"heads":2,"terms":2)",
     true},
    {"layer norm, B/16",
     "layer-norm",
     R"("rows":12608,"width":768)",
     R"("rows":100,"width":96)",
     true},
    {"layer norm, L/14",
     "layer-norm",
     R"("rows":16448,"width":1024)",
     R"("rows":100,"width":128)",
     true},
    {"rotary positions, B/16",
     "rope",
     R"("batch":64,"tokens":197)",
     R"("batch":2,"tokens":17)",
     true},
    {"rotary positions behind registers, DINOv3 L/16",
     "rope",
     R"("batch":64,"tokens":201,"heads":16,"prefix":5)",
     R"("batch":2,"tokens":21,"prefix":5)",
     true},
    {"PAMR weights, 1024 x 2048",
     "pamr-weights",
     R"("height":1024,"width":2048)",
     R"("height":60,"width":80)",
     false},
    {"PAMR steps, 1024 x 2048",
     "pamr-steps",
     R"("height":1024,"width":2048)",
     R"("height":60,"width":80)",
     false},
    {"window blend, 1024 x 2048",
     "window-blend",
     R"("height":1024,"width":2048)",
     R"("height":240,"width":260)",
     false},
    {"resize, 1024 x 2048",
     "resize-plane",
     R"("height":1024,"width":2048)",
     R"("height":100,"width":120)",
     false},
    {"labels, 171 words, 1024 x 2048",
     "label-planes",
     R"("height":1024,"width":2048,"classes":171)",
     R"("height":60,"width":80,"classes":9)",
     false},
    {"RoIAlign",
     "roi-align",
     R"("channels":512,"side":64,"regions":400)",
     R"("channels":16,"side":12,"regions":9)",
     false},
    {"mask pooling",
     "mask-pool",
     R"("channels":512,"side":64,"regions":400)",
     R"("channels":16,"side":12,"regions":9)",
     false},
};

Task make(const std::string& name, const Request& request) {
  for (const auto find : {find_pixel_task, find_layer_task, find_region_task}) {
    if (const auto make = find(name)) return make(request);
  }
  throw std::runtime_error("there is no task '" + name + "'");
}

double peak_of(const Ceilings& ceilings, const std::string& dtype) {
  if (dtype == "float16") return ceilings.float16;
  return dtype == "bfloat16" ? ceilings.bfloat16 : ceilings.float32;
}

bool run(const Case& one,
         const std::string& dtype,
         const Ceilings& ceilings,
         bool small) {
  Line line("kernel");
  line.text("name", one.name).text("dtype", dtype).flag("small", small);
  try {
    const Request request(parse_json(
        c10::str(
            "{\"dtype\":\"", dtype, "\",", small ? one.small : one.sizes, "}"),
        one.name));
    const Task task = make(one.task, request);
    const double ms = milliseconds([&] { task.run(); }, 0.15);
    line.number("ms", ms);
    if (task.flops > 0) {
      const double rate = 1e3 * task.flops / ms;
      line.number("tflops", rate / 1e12)
          .number("shareOfMatrixPeak", rate / peak_of(ceilings, dtype));
    }
    if (task.moved > 0) {
      const double rate = 1e3 * task.moved / ms;
      line.number("gbPerSecond", rate / 1e9)
          .number("shareOfCopy", rate / ceilings.copy);
    }
    // Negated, so that NaN fails.
    const bool ok = !(task.error > task.tolerance) && task.error == task.error;
    line.number("error", task.error)
        .number("tolerance", task.tolerance)
        .flag("ok", ok);
    return ok;
  } catch (const std::exception& error) {
    line.flag("ok", false).text("failed", plain_text(error.what()));
    return false;
  }
}

}  // namespace

bool run_kernels(const Ceilings& ceilings, bool small) {
  bool ok = true;
  for (const auto& one : kCases) {
    ok &= run(one, "float32", ceilings, small);
    if (!one.typed) continue;
    ok &= run(one, "bfloat16", ceilings, small);
    // The CPU twins have no float16.
    if (device().is_cuda()) ok &= run(one, "float16", ceilings, small);
  }
  return ok;
}

}  // namespace declip::bench
