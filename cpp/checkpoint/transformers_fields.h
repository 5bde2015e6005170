#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/json_fields.h"

namespace declip {

// What the configurations of all of transformers' models have in common.

/// Fields that every configuration of transformers may have; none of them
/// changes the features of a model.
inline constexpr std::array kAnyFields{
    KnownField{"architectures"},
    KnownField{"dtype"},
    KnownField{"torch_dtype"},
    KnownField{"transformers_version"},
    KnownField{"add_cross_attention"},
    KnownField{"auto_map"},
    KnownField{"bad_words_ids"},
    KnownField{"begin_suppress_tokens"},
    KnownField{"bos_token_id"},
    KnownField{"chunk_size_feed_forward"},
    KnownField{"cross_attention_hidden_size"},
    KnownField{"decoder_start_token_id"},
    KnownField{"diversity_penalty"},
    KnownField{"do_sample"},
    KnownField{"dropout"},
    KnownField{"early_stopping"},
    KnownField{"encoder_no_repeat_ngram_size"},
    KnownField{"eos_token_id"},
    KnownField{"exponential_decay_length_penalty"},
    KnownField{"finetuning_task"},
    KnownField{"forced_bos_token_id"},
    KnownField{"forced_eos_token_id"},
    KnownField{"gradient_checkpointing"},
    KnownField{"id2label"},
    KnownField{"is_decoder"},
    KnownField{"is_encoder_decoder"},
    KnownField{"label2id"},
    KnownField{"length_penalty"},
    KnownField{"max_length"},
    KnownField{"min_length"},
    KnownField{"no_repeat_ngram_size"},
    KnownField{"num_beam_groups"},
    KnownField{"num_beams"},
    KnownField{"num_return_sequences"},
    KnownField{"output_attentions"},
    KnownField{"output_hidden_states"},
    KnownField{"output_scores"},
    KnownField{"pad_token_id"},
    KnownField{"prefix"},
    KnownField{"problem_type"},
    KnownField{"pruned_heads"},
    KnownField{"remove_invalid_values"},
    KnownField{"repetition_penalty"},
    KnownField{"return_dict"},
    KnownField{"return_dict_in_generate"},
    KnownField{"return_loss"},
    KnownField{"sep_token_id"},
    KnownField{"suppress_tokens"},
    KnownField{"task_specific_params"},
    KnownField{"temperature"},
    KnownField{"tf_legacy_loss"},
    KnownField{"tie_encoder_decoder"},
    KnownField{"tie_word_embeddings"},
    KnownField{"tokenizer_class"},
    KnownField{"top_k"},
    KnownField{"top_p"},
    KnownField{"torchscript"},
    KnownField{"typical_p"},
    KnownField{"use_bfloat16"},
    KnownField{"use_cache"},
};

/// Fields of several lists as one.
template <size_t... Sizes>
std::vector<KnownField> fields_of(
    const std::array<KnownField, Sizes>&... parts) {
  std::vector<KnownField> all;
  (all.insert(all.end(), parts.begin(), parts.end()), ...);
  return all;
}

/// Adds a note that names the fields that `known` lacks and that say something.
/// transformers ignores them, and so does this package.
///
/// model  what transformers calls the model, "CLIP"
void note_unknown(const Fields& fields,
                  const std::vector<KnownField>& known,
                  std::string_view model,
                  std::vector<std::string>& notes);

}  // namespace declip
