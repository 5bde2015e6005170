#include <array>
#include <string>

#include "checkpoint/family.h"
#include "declip/error.h"
#include "families/clip.h"
#include "families/dino.h"
#include "families/dinov2.h"
#include "families/dinov3.h"
#include "families/eva.h"
#include "families/pe.h"
#include "families/sam.h"
#include "families/siglip.h"
#include "families/tips.h"

namespace declip {
namespace {

// A file is compared with them in this order: SAM and DINOv2 have DINO's names
// and more, DINOv3 DINOv2's, PE-Core and SigLIP in transformers' layout CLIP's,
// PE-Core in timm's SigLIP's, TIPSv2 behind a prefix SAM's.
constexpr std::array kFamilies{
    &families::pe,
    &families::siglip,
    &families::clip,
    &families::eva,
    &families::tips,
    &families::sam,
    &families::dinov3,
    &families::dinov2,
    &families::dino,
};

}  // namespace

Families all_families() { return kFamilies; }

const FamilySpec& family_named(const std::string& name) {
  std::string names;
  for (const FamilySpec* family : kFamilies) {
    if (family->name == name) return *family;
    names += (names.empty() ? "'" : ", '") + std::string(family->name) + "'";
  }
  throw Error(ErrorCode::kInvalidArg,
              "family must be one of " + names + ", received '" + name + "'.");
}

}  // namespace declip
