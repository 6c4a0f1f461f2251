/* Recurrent layers over a whole sequence: the products with packed weights, the gates in one pass.
 *
 * Arrays are C-contiguous, time first: (num_steps, batch_size, width). A gate's block is h = num_hiddens
 * wide; blocks stand in canonical order (LSTM i, f, g, o; GRU r, z, n). Compiled once for float and once
 * for double (-DREAL=double); vectors are the compiler's own, so there is no intrinsic but a reciprocal.
 *
 * The product follows Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication",
 * with the weights packed once a sequence instead of once a product.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

/* A vector register, and the tile of them that one inner loop of the product keeps: ROWS x COLUMNS sums. */
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define ROWS 8
#define COLUMNS 3
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#define ROWS 4
#define COLUMNS 3
#else /* 16-byte registers: 32 of them on ARM, 16 on older x86 */
#define VECTOR_BYTES 16
#ifdef __aarch64__
#define ROWS 8
#else
#define ROWS 4
#endif
#define COLUMNS 3
#endif
#define LANES ((int)(VECTOR_BYTES / sizeof(real)))
#define PANEL (COLUMNS * LANES) /* columns of the weights packed side by side */

typedef real vector __attribute__((vector_size(VECTOR_BYTES)));
typedef real unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));
#define INLINE static inline __attribute__((always_inline))

INLINE vector broadcast(real x) { return x - (vector){0}; }

INLINE vector load_whole(const real *from) { return *(const unaligned *)from; }

/* Load n reals, at most a vector's, the rest zero. */
INLINE vector load(const real *from, int64_t n) {
    if (n >= LANES) return load_whole(from);
    vector v = {0};
    memcpy(&v, from, n * sizeof(real));
    return v;
}

INLINE void store(real *to, vector v, int64_t n) {
    if (n >= LANES)
        *(unaligned *)to = v;
    else
        memcpy(to, &v, n * sizeof(real));
}

/* ---- elementary functions -------------------------------------------------------------------------- */

typedef __typeof__((vector){0} < (vector){0}) integers; /* the lanes' bits */

/* 1/k! for k = 1, 2, ...: on |r| <= ln(2)/2 the last term is below the type's rounding. */
static const real INVERSE_FACTORIALS[] = {
    1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
    1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
#define TERMS (sizeof(real) == 4 ? 7 : 13)

/* Return a where the mask's lane is set, else b. */
INLINE vector choose(integers mask, vector a, vector b) { return (vector)((mask & (integers)a) | (~mask & (integers)b)); }

INLINE vector reciprocal(vector x) {
#ifdef __AVX512F__
    if (sizeof(real) == 4) { /* a division takes four times as long as an estimate and one Newton step */
        vector y = (vector)_mm512_rcp14_ps((__m512)x);
        return y * (2 - x * y);
    }
#endif
    return 1 / x;
}

/* exp(y) = (1 + fraction) * scale, for y between -87 (double: -700) and 40; the fraction keeps its precision near zero. */
INLINE vector exponential(vector y, vector *scale) {
    const real ln2_high = sizeof(real) == 4 ? 0x1.62e4p-1 : 0x1.62e42fee00000p-1;
    const real ln2_low = sizeof(real) == 4 ? 0x1.7f7d1cp-20 : 0x1.a39ef35793c76p-33;
    const real to_integer = sizeof(real) == 4 ? 0x1.8p23 : 0x1.8p52; /* adding it rounds to a whole number */
    vector shifted = y * (real)1.44269504088896340736 + to_integer;
    vector n = shifted - to_integer;
    vector r = y - n * ln2_high - n * ln2_low;
    vector p = broadcast(INVERSE_FACTORIALS[TERMS - 1]);
#pragma GCC unroll 16
    for (int k = TERMS - 2; k >= 0; k--) p = p * r + INVERSE_FACTORIALS[k];
    p *= r; /* exp(r) - 1 */
    const int fraction_bits = sizeof(real) == 4 ? 23 : 52, bias = sizeof(real) == 4 ? 127 : 1023;
    integers bits = ((integers)shifted + bias) << fraction_bits; /* shifted's low bits are n */
    *scale = (vector)bits;
    return p;
}

/* tanh(x) = m / (m + 2) with m = exp(2x) - 1. */
INLINE vector tanh_of(vector x) {
    const real limit = sizeof(real) == 4 ? 9.5 : 20; /* beyond it tanh rounds to 1 */
    x = choose(x > limit, broadcast(limit), x); /* a NaN fails both tests and stays */
    x = choose(x < -limit, broadcast(-limit), x);
    vector scale, fraction = exponential(x + x, &scale);
    vector m = fraction * scale + (scale - 1);
    return m * reciprocal(m + 2);
}

INLINE vector sigmoid_of(vector x) { return (real)0.5 * tanh_of((real)0.5 * x) + (real)0.5; }

/* ---- products --------------------------------------------------------------------------------------- */

/* Return the reals that `pack` writes for a (k, n) matrix. */
int64_t packed_size(int64_t k, int64_t n) { return k * ((n + PANEL - 1) / PANEL * PANEL); }

/* Lay out B (k, n), element (i, j) at B[i * row_stride + j * column_stride], as panels of PANEL columns. */
void pack(const real *B, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride, real *packed) {
    for (int64_t first = 0; first < n; first += PANEL, packed += k * PANEL) {
        int64_t width = n - first < PANEL ? n - first : PANEL;
        const real *from = B + first * column_stride;
        if (width < PANEL) memset(packed, 0, k * PANEL * sizeof(real));
        if (column_stride == 1) {
            for (int64_t i = 0; i < k; i++) memcpy(packed + i * PANEL, from + i * row_stride, width * sizeof(real));
            continue;
        }
        /* Transposing: blocks of rows keep the reads and the writes within the first-level cache. */
        for (int64_t block = 0; block < k; block += LANES) {
            int64_t end = k - block < LANES ? k : block + LANES;
            for (int64_t j = 0; j < width; j++)
                for (int64_t i = block; i < end; i++)
                    packed[i * PANEL + j] = from[i * row_stride + j * column_stride];
        }
    }
}

/* Terms of a sum taken at a time: a panel of so many rows stays in the first-level cache for all rows of A. */
#define DEPTH 128

/* C (rows, columns vectors) = or += A (rows, k) times some of a panel's vectors. */
INLINE void tile(int rows, int columns, int64_t k, const real *A, int64_t lda, const real *panel, real *C, int64_t ldc,
                 int adding) {
    vector sums[ROWS][COLUMNS];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < columns; c++) sums[r][c] = adding ? load_whole(C + r * ldc + c * LANES) : (vector){0};
    for (int64_t i = 0; i < k; i++, panel += PANEL) {
        vector b[COLUMNS];
#pragma GCC unroll 8
        for (int c = 0; c < columns; c++) b[c] = load_whole(panel + c * LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            vector a = broadcast(A[r * lda + i]);
#pragma GCC unroll 8
            for (int c = 0; c < columns; c++) sums[r][c] += a * b[c];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int c = 0; c < columns; c++) *(unaligned *)(C + r * ldc + c * LANES) = sums[r][c];
}

/* Some rows' part of a product with one panel, of which `width` columns count. */
INLINE void strip(int rows, int64_t k, const real *A, int64_t lda, const real *panel, real *C, int64_t ldc,
                  int64_t width, int adding) {
    if (width >= PANEL) {
        tile(rows, COLUMNS, k, A, lda, panel, C, ldc, adding);
        return;
    }
    for (; width >= LANES; width -= LANES, panel += LANES, C += LANES)
        tile(rows, 1, k, A, lda, panel, C, ldc, adding);
    if (width > 0) {
        real edge[ROWS * LANES] = {0};
        tile(rows, 1, k, A, lda, panel, edge, LANES, 0);
        for (int r = 0; r < rows; r++)
            for (int64_t j = 0; j < width; j++) C[r * ldc + j] = edge[r * LANES + j] + (adding ? C[r * ldc + j] : 0);
    }
}

/* C (m, n) = A (m, k) times the packed B (k, n). */
void product(int64_t m, int64_t k, int64_t n, const real *A, const real *packed, real *C) {
    for (int64_t first = 0; first < n; first += PANEL, packed += k * PANEL)
        for (int64_t from = 0; from < k; from += DEPTH) {
            const real *panel = packed + from * PANEL, *a = A + from;
            int64_t depth = k - from < DEPTH ? k - from : DEPTH, width = n - first, row = 0;
            real *c = C + first;
            for (; row + ROWS <= m; row += ROWS) strip(ROWS, depth, a + row * k, k, panel, c + row * n, n, width, from > 0);
            for (; row + 4 <= m; row += 4) strip(4, depth, a + row * k, k, panel, c + row * n, n, width, from > 0);
            for (; row < m; row++) strip(1, depth, a + row * k, k, panel, c + row * n, n, width, from > 0);
        }
}

/* ---- layers ---------------------------------------------------------------------------------------- */

/* A row of what the inputs decide: of the projected sequence, or of the table of projected tokens. */
INLINE const real *projected(const real *X, const int64_t *ids, int64_t index, int64_t width) {
    return X + (ids ? ids[index] : index) * width;
}

#define EACH_VECTOR(j, n, width) for (int64_t j = 0, n = (width); n > 0; j += LANES, n -= LANES)

/* H' = tanh(x + H W_h' + bias). H (num_steps + 1, batch_size, h) with H[0] set. */
void rnn_forward(int64_t num_steps, int64_t b, int64_t h, const real *X, const int64_t *ids, const real *packed,
                 const real *bias, real *H) {
    for (int64_t t = 0; t < num_steps; t++) {
        real *next = H + (t + 1) * b * h;
        product(b, h, h, H + t * b * h, packed, next);
        for (int64_t row = 0; row < b; row++) {
            const real *x = projected(X, ids, t * b + row, h);
            real *out = next + row * h;
            EACH_VECTOR(j, n, h) store(out + j, tanh_of(load(out + j, n) + load(x + j, n) + load(bias + j, n)), n);
        }
    }
}

/* dZ (num_steps, batch_size, h): the gradient before tanh. db (h) is its sum; dH (batch_size, h) is room. */
void rnn_backward(int64_t num_steps, int64_t b, int64_t h, const real *dY, const real *H, const real *packed, real *dZ,
                  real *db, real *dH) {
    memset(dH, 0, b * h * sizeof(real));
    memset(db, 0, h * sizeof(real));
    for (int64_t t = num_steps - 1; t >= 0; t--) {
        for (int64_t row = 0; row < b; row++) {
            int64_t at = (t * b + row) * h;
            EACH_VECTOR(j, n, h) {
                vector out = load(H + b * h + at + j, n);
                vector dz = (load(dH + row * h + j, n) + load(dY + at + j, n)) * (1 - out * out);
                store(dZ + at + j, dz, n);
                store(db + j, load(db + j, n) + dz, n);
            }
        }
        product(b, h, h, dZ + t * b * h, packed, dH);
    }
}

/* Gates r, z, n; H' = n + z (H - n), n = tanh(x_n + r (H W_hn' + b_hn)). bias (3h) is b_x, in the blocks of r and z
 * plus b_h; b_hn (h). G (num_steps, batch_size, 3h) keeps the gates and may be X; N (num_steps, batch_size, h) the
 * candidate's recurrent product; P (batch_size, 3h) is room. */
void gru_forward(int64_t num_steps, int64_t b, int64_t h, const real *X, const int64_t *ids, const real *packed,
                 const real *bias, const real *b_hn, real *H, real *G, real *N, real *P) {
    for (int64_t t = 0; t < num_steps; t++) {
        product(b, h, 3 * h, H + t * b * h, packed, P);
        for (int64_t row = 0; row < b; row++) {
            int64_t at = t * b + row;
            const real *x = projected(X, ids, at, 3 * h), *p = P + row * 3 * h, *before = H + at * h;
            real *g = G + at * 3 * h, *h_n = N + at * h, *out = H + (b + at) * h;
            EACH_VECTOR(j, n, h) {
                vector r = sigmoid_of(load(x + j, n) + load(p + j, n) + load(bias + j, n));
                vector z = sigmoid_of(load(x + h + j, n) + load(p + h + j, n) + load(bias + h + j, n));
                vector product_n = load(p + 2 * h + j, n) + load(b_hn + j, n);
                vector candidate = tanh_of(load(x + 2 * h + j, n) + load(bias + 2 * h + j, n) + r * product_n);
                store(g + j, r, n);
                store(g + h + j, z, n);
                store(g + 2 * h + j, candidate, n);
                store(h_n + j, product_n, n);
                store(out + j, candidate + z * (load(before + j, n) - candidate), n);
            }
        }
    }
}

/* G becomes the gradient at x; dP (num_steps, batch_size, 3h) is the one at H W_h' + b_h, which differs in the
 * candidate's block. db_x and db_h (3h) are their sums. */
void gru_backward(int64_t num_steps, int64_t b, int64_t h, const real *dY, const real *H, const real *N,
                  const real *packed, real *G, real *dP, real *db_x, real *db_h, real *dH, real *carried) {
    memset(dH, 0, b * h * sizeof(real));
    memset(carried, 0, b * h * sizeof(real));
    memset(db_x, 0, 3 * h * sizeof(real));
    memset(db_h, 0, 3 * h * sizeof(real));
    for (int64_t t = num_steps - 1; t >= 0; t--) {
        for (int64_t row = 0; row < b; row++) {
            int64_t at = t * b + row;
            real *g = G + at * 3 * h, *dp = dP + at * 3 * h, *kept = carried + row * h;
            EACH_VECTOR(j, n, h) {
                vector r = load(g + j, n), z = load(g + h + j, n), candidate = load(g + 2 * h + j, n);
                vector dh = load(dH + row * h + j, n) + load(kept + j, n) + load(dY + at * h + j, n);
                vector dn = dh * (1 - z) * (1 - candidate * candidate);
                vector dr = dn * load(N + at * h + j, n) * r * (1 - r);
                vector dz = dh * (load(H + at * h + j, n) - candidate) * z * (1 - z);
                vector dp_n = dn * r;
                store(g + j, dr, n);
                store(g + h + j, dz, n);
                store(g + 2 * h + j, dn, n);
                store(dp + j, dr, n);
                store(dp + h + j, dz, n);
                store(dp + 2 * h + j, dp_n, n);
                store(kept + j, dh * z, n);
                store(db_x + j, load(db_x + j, n) + dr, n);
                store(db_x + h + j, load(db_x + h + j, n) + dz, n);
                store(db_x + 2 * h + j, load(db_x + 2 * h + j, n) + dn, n);
                store(db_h + 2 * h + j, load(db_h + 2 * h + j, n) + dp_n, n);
            }
        }
        product(b, 3 * h, h, dP + t * b * 3 * h, packed, dH);
    }
    memcpy(db_h, db_x, 2 * h * sizeof(real));
}

/* Gates i, f, g, o; C' = f C + i g, H' = o tanh(C'). bias (4h). G (num_steps, batch_size, 4h) keeps the gates and may
 * be X; T (num_steps, batch_size, h) keeps tanh(C'); P (batch_size, 4h) is room. */
void lstm_forward(int64_t num_steps, int64_t b, int64_t h, const real *X, const int64_t *ids, const real *packed,
                  const real *bias, real *H, real *C, real *G, real *T, real *P) {
    for (int64_t t = 0; t < num_steps; t++) {
        product(b, h, 4 * h, H + t * b * h, packed, P);
        for (int64_t row = 0; row < b; row++) {
            int64_t at = t * b + row;
            const real *x = projected(X, ids, at, 4 * h), *p = P + row * 4 * h;
            real *gates = G + at * 4 * h;
            EACH_VECTOR(j, n, h) {
                vector i = sigmoid_of(load(x + j, n) + load(p + j, n) + load(bias + j, n));
                vector f = sigmoid_of(load(x + h + j, n) + load(p + h + j, n) + load(bias + h + j, n));
                vector g = tanh_of(load(x + 2 * h + j, n) + load(p + 2 * h + j, n) + load(bias + 2 * h + j, n));
                vector o = sigmoid_of(load(x + 3 * h + j, n) + load(p + 3 * h + j, n) + load(bias + 3 * h + j, n));
                vector c = f * load(C + at * h + j, n) + i * g;
                vector tanh_c = tanh_of(c);
                store(gates + j, i, n);
                store(gates + h + j, f, n);
                store(gates + 2 * h + j, g, n);
                store(gates + 3 * h + j, o, n);
                store(C + (b + at) * h + j, c, n);
                store(T + at * h + j, tanh_c, n);
                store(H + (b + at) * h + j, o * tanh_c, n);
            }
        }
    }
}

/* G becomes the gradient before the gates' functions; db (4h) is its sum; dH and dC (batch_size, h) are room. */
void lstm_backward(int64_t num_steps, int64_t b, int64_t h, const real *dY, const real *C, const real *T,
                   const real *packed, real *G, real *db, real *dH, real *dC) {
    memset(dH, 0, b * h * sizeof(real));
    memset(dC, 0, b * h * sizeof(real));
    memset(db, 0, 4 * h * sizeof(real));
    for (int64_t t = num_steps - 1; t >= 0; t--) {
        for (int64_t row = 0; row < b; row++) {
            int64_t at = t * b + row;
            real *gates = G + at * 4 * h;
            EACH_VECTOR(j, n, h) {
                vector i = load(gates + j, n), f = load(gates + h + j, n);
                vector g = load(gates + 2 * h + j, n), o = load(gates + 3 * h + j, n);
                vector tanh_c = load(T + at * h + j, n);
                vector dh = load(dH + row * h + j, n) + load(dY + at * h + j, n);
                vector dc = load(dC + row * h + j, n) + dh * o * (1 - tanh_c * tanh_c);
                vector di = dc * g * i * (1 - i);
                vector df = dc * load(C + at * h + j, n) * f * (1 - f);
                vector dg = dc * i * (1 - g * g);
                vector d_o = dh * tanh_c * o * (1 - o);
                store(gates + j, di, n);
                store(gates + h + j, df, n);
                store(gates + 2 * h + j, dg, n);
                store(gates + 3 * h + j, d_o, n);
                store(dC + row * h + j, dc * f, n);
                store(db + j, load(db + j, n) + di, n);
                store(db + h + j, load(db + h + j, n) + df, n);
                store(db + 2 * h + j, load(db + 2 * h + j, n) + dg, n);
                store(db + 3 * h + j, load(db + 3 * h + j, n) + d_o, n);
            }
        }
        product(b, 4 * h, h, G + t * b * 4 * h, packed, dH);
    }
}

/* sums (vocab_size, width) = the rows of dZ (count, width) added up by their ids. */
void add_by_id(int64_t count, int64_t vocab_size, int64_t width, const int64_t *ids, const real *dZ, real *sums) {
    memset(sums, 0, vocab_size * width * sizeof(real));
    for (int64_t row = 0; row < count; row++) {
        real *sum = sums + ids[row] * width;
        const real *dz = dZ + row * width;
        EACH_VECTOR(j, n, width) store(sum + j, load(sum + j, n) + load(dz + j, n), n);
    }
}

/* ---- the loss -------------------------------------------------------------------------------------- */

/* exp(x) for x <= 0. */
INLINE vector exp_of(vector x) {
    const real least = sizeof(real) == 4 ? -87 : -700; /* below it the result is as good as zero */
    x = choose(x < least, broadcast(least), x);
    vector scale, fraction = exponential(x, &scale);
    return fraction * scale + scale;
}

/* Mean cross-entropy of softmax(Z) against the targets, and for each k of `ranks` (num_ranks,) the share of targets
 * among the first k, a tie counting against them. Z (count, vocab_size) becomes the loss's gradient where
 * `with_gradient`. figures (1 + num_ranks,): the loss, the shares. row_losses (num_rows,): the mean of every num_rows-th
 * target's, of which the minibatch's rows consist. */
void cross_entropy(int64_t count, int64_t num_rows, int64_t vocab_size, int64_t num_ranks, real *Z,
                   const int64_t *targets, const int64_t *ranks, int64_t with_gradient, double *figures,
                   double *row_losses) {
    double loss = 0, *hits = figures + 1;
    memset(hits, 0, num_ranks * sizeof(double));
    memset(row_losses, 0, num_rows * sizeof(double));
    for (int64_t row = 0; row < count; row++) {
        real *z = Z + row * vocab_size, target = z[targets[row]], largest = z[0];
        int64_t rank = 0;
        for (int64_t j = 0; j < vocab_size; j++) {
            largest = z[j] > largest ? z[j] : largest;
            rank += !(z[j] < target); /* what is not a number is not below the target */
        }
        for (int64_t i = 0; i < num_ranks; i++) hits[i] += isfinite(target) && rank <= ranks[i];
        vector sums = {0};
        real sum = 0;
        EACH_VECTOR(j, n, vocab_size) {
            vector e = exp_of(load(z + j, n) - largest);
            store(z + j, e, n);
            sums += load(z + j, n); /* past the end it is zero again */
        }
        for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
        const double own = log((double)sum) - ((double)target - (double)largest);
        loss += own;
        row_losses[row % num_rows] += own;
        if (with_gradient) {
            EACH_VECTOR(j, n, vocab_size) store(z + j, load(z + j, n) * (1 / (sum * count)), n);
            z[targets[row]] -= (real)1 / count;
        }
    }
    figures[0] = loss / count;
    for (int64_t i = 0; i < num_ranks; i++) hits[i] /= count;
    for (int64_t row = 0; row < num_rows; row++) row_losses[row] *= (double)num_rows / count;
}

/* ---- updates ---------------------------------------------------------------------------------------
 * Each in one pass over all parameters; `scale` is what clipping leaves of the gradient. */

void sgd(int64_t count, real *w, const real *g, double scale, double rate) {
    const real step = scale * rate;
    EACH_VECTOR(j, n, count) store(w + j, load(w + j, n) - step * load(g + j, n), n);
}

INLINE vector root_of(vector x) {
    for (int lane = 0; lane < LANES; lane++) x[lane] = sqrt(x[lane]);
    return x;
}

/* `rate` and `correction` hold the moments' bias corrections: w -= rate m / (correction sqrt(v) + epsilon). */
void adam(int64_t count, real *w, const real *g, real *m, real *v, double scale, double rate, double correction,
          double beta1, double beta2, double epsilon) {
    const real s = scale, r = rate, c = correction, b1 = beta1, b2 = beta2, e = epsilon;
    const real rest1 = 1 - beta1, rest2 = 1 - beta2; /* of the doubles: 1 - 0.999f is wrong by 5e-5 of itself */
    EACH_VECTOR(j, n, count) {
        vector gradient = s * load(g + j, n);
        vector mean = b1 * load(m + j, n) + rest1 * gradient;
        vector square = b2 * load(v + j, n) + rest2 * gradient * gradient;
        store(m + j, mean, n);
        store(v + j, square, n);
        store(w + j, load(w + j, n) - r * mean / (c * root_of(square) + e), n);
    }
}

void rmsprop(int64_t count, real *w, const real *g, real *v, double scale, double rate, double alpha, double epsilon) {
    const real s = scale, r = rate, a = alpha, rest = 1 - alpha, e = epsilon;
    EACH_VECTOR(j, n, count) {
        vector gradient = s * load(g + j, n);
        vector square = a * load(v + j, n) + rest * gradient * gradient;
        store(v + j, square, n);
        store(w + j, load(w + j, n) - r * gradient / (root_of(square) + e), n);
    }
}
