#pragma once

namespace declip {

/// To be called before LibTorch computes on several threads. MKL's vector
/// functions (cos, sin, exp, ...) find out at the process's first call which
/// processor this is, without a lock: where two threads make that call, one may
/// take the kernel of lowest accuracy (errors of 1.5e-4), on Intel processors
/// with AVX-512. EVA-CLIP's rotary tables, which are computed once, kept that
/// error for good. https://github.com/pytorch/pytorch/issues/188792
void settle_vector_math();

}  // namespace declip
