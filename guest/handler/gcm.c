/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/handler/gcm.h"

/* The library chooses these by itself where its manager is used; its header leaves them out. */
void aes_gcm_precomp_256_vaes_avx512(struct gcm_key_data *k);
void aes_gcm_enc_256_vaes_avx512(const struct gcm_key_data *k, struct gcm_context_data *c,
				 uint8_t *out, const uint8_t *in, uint64_t len, const uint8_t *iv,
				 const uint8_t *aad, uint64_t aad_len, uint8_t *tag,
				 uint64_t tag_len);
void aes_gcm_dec_256_vaes_avx512(const struct gcm_key_data *k, struct gcm_context_data *c,
				 uint8_t *out, const uint8_t *in, uint64_t len, const uint8_t *iv,
				 const uint8_t *aad, uint64_t aad_len, uint8_t *tag,
				 uint64_t tag_len);

typedef void gcm_fn(const struct gcm_key_data *k, struct gcm_context_data *c, uint8_t *out,
		    const uint8_t *in, uint64_t len, const uint8_t *iv, const uint8_t *aad,
		    uint64_t aad_len, uint8_t *tag, uint64_t tag_len);

/* An empty message still has to lie somewhere. */
static const uint8_t nothing[HANDLER_TAG_LEN];

void gcm_key_init(enum handler_cipher c, struct gcm_key_data *k, const uint8_t key[32])
{
	uint8_t unused[15 * 16] __attribute__((aligned(16))); /* the keys of the other direction */

	aes_keyexp_256_sse(key, k->expanded_keys, unused);
	if (c == HANDLER_CIPHER_VAES)
		aes_gcm_precomp_256_vaes_avx512(k);
	else
		aes_gcm_precomp_256_sse(k);
	__builtin_memset(unused, 0, sizeof(unused));
	__asm__ volatile("" ::"r"(unused) : "memory");
}

static void gcm_run(gcm_fn *fn, const struct gcm_key_data *k, enum gcm_class kind, uint64_t number,
		    struct gcm_span aad, struct gcm_span in, uint8_t *out, uint8_t *tag)
{
	struct gcm_context_data c;
	uint8_t iv[12];
	uint32_t first = kind;

	__builtin_memcpy(iv, &first, sizeof(first));
	__builtin_memcpy(iv + sizeof(first), &number, sizeof(number));
	if (!in.p)
		in.p = nothing;
	fn(k, &c, out, in.p, in.len, iv, aad.p, aad.len, tag, HANDLER_TAG_LEN);
}

void gcm_seal(enum handler_cipher c, const struct gcm_key_data *k, enum gcm_class kind,
	      uint64_t number, struct gcm_span aad, struct gcm_span in, uint8_t *out,
	      uint8_t tag[HANDLER_TAG_LEN])
{
	gcm_run(c == HANDLER_CIPHER_VAES ? aes_gcm_enc_256_vaes_avx512 : aes_gcm_enc_256_sse, k,
		kind, number, aad, in, out, tag);
}

void gcm_open(enum handler_cipher c, const struct gcm_key_data *k, enum gcm_class kind,
	      uint64_t number, struct gcm_span aad, struct gcm_span in, uint8_t *out,
	      uint8_t tag[HANDLER_TAG_LEN])
{
	gcm_run(c == HANDLER_CIPHER_VAES ? aes_gcm_dec_256_vaes_avx512 : aes_gcm_dec_256_sse, k,
		kind, number, aad, in, out, tag);
}
