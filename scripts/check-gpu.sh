#!/usr/bin/env bash
# Everything that needs a GPU, in one command: compiles the core, its device tests and the kernels'
# benches against the LibTorch of this machine's PyTorch, runs them and whole models with random
# weights, and compares with the CPU and with PyTorch's modules. Needs no Node and no network.
#
#   scripts/check-gpu.sh [--arch 90] [--out DIR] [--minutes 8] [--jobs N] [--dry]
#
# --arch     compute capability to compile for; default: the GPU's own
# --out      gets check-gpu.log and check-gpu.json; default: build/gpu/out
# --minutes  steps that do not fit are left out and said; default 8, with --dry 60
# --jobs     files compiled at once; default: processors, at most one for each 2 GB of memory
# --dry      without a GPU: compiles what can be, and runs the CPU half with small sizes
#
# Needs nvcc, CMake 3.21, ninja, a C++20 compiler, and in PYTHON (python3) a CUDA build of torch
# 2.11 or newer; --dry also takes a CPU build, and goes without nvcc.
set -uo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "check-gpu: $1" >&2
  exit 1
}

arch= out=build/gpu/out minutes= jobs= dry=
while [ $# -gt 0 ]; do
  case $1 in
    --dry) dry=1 ;;
    --arch | --out | --minutes | --jobs)
      [ $# -gt 1 ] || fail "$1 takes a value"
      declare "${1#--}=$2"
      shift
      ;;
    -h | --help)
      sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    *) fail "there is no option '$1'; see --help" ;;
  esac
  shift
done
minutes=${minutes:-${dry:+60}}
minutes=${minutes:-8}
[[ $minutes =~ ^[0-9]+$ && $minutes -gt 0 ]] || fail "--minutes is a whole number from 1, not '$minutes'"
[[ $arch =~ ^([0-9]+a?)?$ ]] || fail "--arch is a compute capability such as 90, not '$arch'"

end=$(($(date +%s) + 60 * minutes))
left() { echo $((end - $(date +%s))); }

mkdir -p "$out" build/gpu
out=$(cd "$out" && pwd)
lines=build/gpu/lines steps=build/gpu/steps.tsv weights=build/gpu/weights
rm -rf "$lines" "$weights" "$steps"
mkdir -p "$lines" "$weights"
: >"$steps"
exec > >(tee "$out/check-gpu.log") 2>&1
tee=$!
trap 'status=$?; exec >&- 2>&-; wait "$tee"; exit "$status"' EXIT # the log to its last line

# --- What is at hand ------------------------------------------------------------

python=${PYTHON:-python3}
command -v "$python" >/dev/null || fail "there is no '$python'; set PYTHON to one that has torch"
probe='
import json, os, torch
gpu = torch.cuda.is_available()
about = {
    "torch": torch.__version__, "cuda": torch.version.cuda,
    "gpu": torch.cuda.get_device_name() if gpu else None,
    "capability": "".join(map(str, torch.cuda.get_device_capability())) if gpu else None,
    "memoryGb": round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1) if gpu else None,
    "processors": os.cpu_count(),
}
print(os.path.dirname(torch.__file__), json.dumps(about), about["capability"] or "", sep="\n")
'
found=$("$python" -c "$probe" 2>build/gpu/probe.err) || fail "$python has no usable torch: $(tail -n 1 build/gpu/probe.err)"
{ read -r libtorch && read -r about && read -r capability; } <<<"$found"
arch=${arch:-$capability}
cuda_libtorch=$([ -e "$libtorch/lib/libtorch_cuda.so" ] && echo 1)
nvcc=
for candidate in "$(command -v nvcc)" "${CUDA_HOME:-}/bin/nvcc" "${CUDA_PATH:-}/bin/nvcc" /usr/local/cuda/bin/nvcc; do
  [ -z "$nvcc" ] && [ -x "$candidate" ] && nvcc=$candidate
done
for tool in cmake ninja "${CXX:-c++}"; do
  command -v "$tool" >/dev/null || fail "'$tool' was not found; install it and put it on the PATH"
done
if [ -z "$dry" ]; then
  [ -n "$nvcc" ] || fail "nvcc was not found on the PATH, in CUDA_HOME or in /usr/local/cuda; install the CUDA toolkit"
  [ -n "$cuda_libtorch" ] || fail "$python has a torch without CUDA ($libtorch); install a CUDA build, or pass --dry"
  [ -n "$capability" ] || fail "torch sees no GPU; check the driver with nvidia-smi, or pass --dry"
  device=cuda models='vit-b-16 vit-l-14' small=()
else
  device=cpu models=tiny small=(--small)
fi
if [ -z "$jobs" ]; then
  memory=$(awk '/MemTotal/ { print int($2 / 2097152) }' /proc/meminfo)
  jobs=$(nproc)
  [ "$memory" -lt "$jobs" ] && jobs=$((memory > 0 ? memory : 1))
fi
echo "LibTorch  $libtorch"
echo "machine   $about"
echo "nvcc      ${nvcc:-none}$([ -n "$nvcc" ] && "$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/ \1/p')"
echo "commit    $(git rev-parse --short HEAD 2>/dev/null || echo unknown); $jobs jobs, $minutes minutes"

# --- Steps ------------------------------------------------------------------------

# step NAME COMMAND...: runs it in the time that is left and notes how it ended. What is left out for
# lack of time counts as failed.
step() {
  local name=$1 start status
  shift
  start=$(date +%s)
  echo
  echo "== $name ($(left) s left)"
  if [ "$(left)" -le 5 ]; then
    echo "left out: no time"
    status=124
  else
    timeout "$(left)" "$@"
    status=$?
  fi
  printf '%s\t%s\t%s\n' "$name" "$status" "$(($(date +%s) - start))" >>"$steps"
  return "$status"
}

# step_lines NAME FILE COMMAND...: what it prints goes to FILE too.
step_lines() {
  step "$1" bash -c '"${@:2}" | tee "$1"; exit "${PIPESTATUS[0]}"' _ "$lines/$2.jsonl" "${@:3}"
}

build=build/gpu/core
options=(-DCMAKE_BUILD_TYPE=Release -DDECLIP_LEVELS=native -DDECLIP_DISTRIBUTED=OFF)
stand_in=
if [ -n "$nvcc" ]; then
  options+=(-DDECLIP_CUDA=ON "-DCMAKE_CUDA_COMPILER=$nvcc" "-DCMAKE_CUDA_ARCHITECTURES=${arch:-80;90}")
  if [ -z "$cuda_libtorch" ]; then
    # A CPU build has the CUDA headers, but for a generated one that can be left out. Its CUDA libraries
    # are stood in for by ones that have the names and nothing behind them.
    stand_in=$PWD/build/gpu/libtorch
    rm -rf "$stand_in" && mkdir -p "$stand_in/lib"
    ln -s "$libtorch/include" "$stand_in/include"
    ln -s "$libtorch"/lib/* "$stand_in/lib"
    touch "$stand_in/lib/libc10_cuda.so" "$stand_in/lib/libtorch_cuda.so"
    options+=(-DCMAKE_CXX_FLAGS=-DC10_CUDA_NO_CMAKE_CONFIGURE_FILE)
  fi
else
  echo "left out: no CUDA file is compiled, nvcc was not found"
fi
compile() {
  local make=(cmake --build "$build" --parallel "$jobs" --target)
  if [ -n "$stand_in" ]; then
    "${make[@]}" declip_core declip_kernels_cuda || return
    local name
    for name in c10 torch; do
      nm -u "$build"/libdeclip_*.a | awk '/_ZNK?(3c10|2at)4cuda/ { print $2 }' | sort -u |
        awk '{ print ".globl " $1 "\n" $1 ":" } END { print ".zero 8; .section .note.GNU-stack" }' |
        "${CXX:-c++}" -shared -x assembler - -o "$stand_in/lib/lib${name}_cuda.so" || return
    done
  fi
  "${make[@]}" declip_device declip_device_tests declip_bench
}
export build jobs stand_in
export -f compile

step 'configure' cmake -S . -B "$build" -G Ninja -Wno-dev "-DLIBTORCH=${stand_in:-$libtorch}" \
  -DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined "${options[@]}" &&
  step 'compile: core, device tests, benches' bash -c compile
built=$?

if [ "$built" = 0 ]; then
  # Models of every family, which the tests skip with a word where they are packed.
  command -v node >/dev/null && step 'fixtures' node scripts/make/fixtures.mjs
  step 'device tests' "$build/declip_device_tests"
  step_lines 'kernels' kernels "$build/declip_device" kernels --device "$device" "${small[@]}"
  for model in $models; do
    step_lines "pipeline $model" "pipeline-$model" \
      "$build/declip_device" pipeline "$weights" "$model" --device "$device" "${small[@]}"
    step_lines "PyTorch $model" "torch-$model" \
      "$python" scripts/cuda/torch_modules.py "$weights" "$model" --device "$device" "${small[@]}"
    rm -f "$weights/$model"*
  done
fi

"$python" scripts/cuda/gpu_report.py "$lines" --steps "$steps" --about "$about" --json "$out/check-gpu.json"
right=$?
echo "$out/check-gpu.log and check-gpu.json"
exit "$right"
