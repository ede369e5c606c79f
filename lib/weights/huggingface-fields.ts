/**
 * Fields of HuggingFace's configurations that change nothing of what an encoder computes: what every model has (names,
 * types of numbers, output forms, text generation, labels), and what only training reads.
 */
export const HUGGINGFACE_NEUTRAL: readonly (readonly string[] | RegExp)[] = [
  /^_|dropout|^initializer_|^drop_path_rate$|_token_id$/,
  [
    'architectures', 'model_type', 'transformers_version', 'torch_dtype', 'dtype', 'torchscript', 'use_bfloat16', 'tf_legacy_loss', 'license', 'tokenizer_class',
    'return_dict', 'return_dict_in_generate', 'output_attentions', 'output_hidden_states', 'output_scores', 'use_cache', 'gradient_checkpointing',
    'chunk_size_feed_forward', 'tie_word_embeddings', 'tie_encoder_decoder', 'attn_implementation',
    'finetuning_task', 'id2label', 'label2id', 'num_labels', 'problem_type', 'task_specific_params', 'prefix',
    // Of text generation.
    'is_decoder', 'is_encoder_decoder', 'add_cross_attention', 'cross_attention_hidden_size', 'max_length', 'min_length', 'do_sample', 'early_stopping',
    'num_beams', 'num_beam_groups', 'diversity_penalty', 'temperature', 'top_k', 'top_p', 'typical_p', 'repetition_penalty', 'length_penalty',
    'no_repeat_ngram_size', 'encoder_no_repeat_ngram_size', 'bad_words_ids', 'num_return_sequences', 'remove_invalid_values',
    'exponential_decay_length_penalty', 'suppress_tokens', 'begin_suppress_tokens', 'max_new_tokens',
  ],
];
