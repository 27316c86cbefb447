/* Sums of row hashes over a batch of Arrow data (docs/delta-format.md, "Content hash").
 *
 * A row is a string of 64-bit little-endian words: its columns in the order of their names' bytes, each as
 *   0                                   null
 *   1, value                            numbers, booleans, dates, timestamps: sign-extended; floats by their bits, every NaN as the quiet one
 *   1, low, high                        decimals: the unscaled value in two's complement
 *   length << 8 | 2, bytes              strings and binaries, padded with zeros to whole words
 *   count << 8 | 3, values              lists
 *   4, fields by name                   structs
 *   count << 8 | 5, low, high           maps: the sum of the hashes of (key, value), each hashed like a row
 * hashed by SipHash-1-3 with 128 bits of result and a key of zeros (Aumasson and Bernstein, 2012; as in the reference's siphash.c).
 * Hashes are summed by halves, each modulo 2^64: a sum knows every row and no order, and the sums of parts add up.
 *
 * Arrays come by the Arrow C data interface (arrow.apache.org/docs/format/CDataInterface.html).
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

enum { DEEPEST = 64 };
enum kind { NOTHING, BIT, I8, I16, I32, I64, U8, U16, U32, F32, F64, DECIMAL, TEXT, LARGE_TEXT, FIXED_TEXT, LIST, LARGE_LIST, STRUCT, MAP };

typedef struct node {
    enum kind kind;
    int64_t offset, width, count;
    const uint8_t *valid;
    const void *data, *more;
    struct node **inner;
} node;

typedef struct {
    uint64_t v0, v1, v2, v3, words;
} state;

#define TURN(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define ROUND(s)                                                                                       \
    do {                                                                                               \
        (s)->v0 += (s)->v1; (s)->v1 = TURN((s)->v1, 13); (s)->v1 ^= (s)->v0; (s)->v0 = TURN((s)->v0, 32); \
        (s)->v2 += (s)->v3; (s)->v3 = TURN((s)->v3, 16); (s)->v3 ^= (s)->v2;                           \
        (s)->v0 += (s)->v3; (s)->v3 = TURN((s)->v3, 21); (s)->v3 ^= (s)->v0;                           \
        (s)->v2 += (s)->v1; (s)->v1 = TURN((s)->v1, 17); (s)->v1 ^= (s)->v2; (s)->v2 = TURN((s)->v2, 32); \
    } while (0)

static inline void begin(state *s)
{
    s->v0 = 0x736f6d6570736575ULL;
    s->v1 = 0x646f72616e646f6dULL ^ 0xee;
    s->v2 = 0x6c7967656e657261ULL;
    s->v3 = 0x7465646279746573ULL;
    s->words = 0;
}

static inline void word(state *s, uint64_t m)
{
    s->v3 ^= m;
    ROUND(s);
    s->v0 ^= m;
    s->words++;
}

static inline void finish(state *s, uint64_t *low, uint64_t *high)
{
    uint64_t last = s->words << 59; /* its bytes modulo 256, in the topmost byte */
    s->v3 ^= last;
    ROUND(s);
    s->v0 ^= last;
    s->v2 ^= 0xee;
    ROUND(s); ROUND(s); ROUND(s);
    *low = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
    s->v1 ^= 0xdd;
    ROUND(s); ROUND(s); ROUND(s);
    *high = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static void bytes(state *s, const uint8_t *from, uint64_t length)
{
    word(s, length << 8 | 2);
    while (length >= 8) {
        uint64_t m;
        memcpy(&m, from, 8);
        word(s, m);
        from += 8;
        length -= 8;
    }
    if (length) {
        uint64_t m = 0;
        memcpy(&m, from, length);
        word(s, m);
    }
}

static inline int is_null(const node *n, int64_t at)
{
    return n->valid && !(n->valid[at >> 3] >> (at & 7) & 1);
}

static void feed(state *s, const node *n, int64_t index)
{
    int64_t at = index + n->offset;
    if (n->kind == NOTHING || is_null(n, at)) {
        word(s, 0);
        return;
    }
    switch (n->kind) {
    case BIT: word(s, 1); word(s, ((const uint8_t *)n->data)[at >> 3] >> (at & 7) & 1); return;
    case I8: word(s, 1); word(s, (uint64_t)(int64_t)((const int8_t *)n->data)[at]); return;
    case I16: word(s, 1); word(s, (uint64_t)(int64_t)((const int16_t *)n->data)[at]); return;
    case I32: word(s, 1); word(s, (uint64_t)(int64_t)((const int32_t *)n->data)[at]); return;
    case I64: word(s, 1); word(s, ((const uint64_t *)n->data)[at]); return;
    case U8: word(s, 1); word(s, ((const uint8_t *)n->data)[at]); return;
    case U16: word(s, 1); word(s, ((const uint16_t *)n->data)[at]); return;
    case U32: word(s, 1); word(s, ((const uint32_t *)n->data)[at]); return;
    case F32: {
        uint32_t bits = ((const uint32_t *)n->data)[at];
        word(s, 1);
        word(s, (bits & 0x7fffffffU) > 0x7f800000U ? 0x7fc00000U : bits);
        return;
    }
    case F64: {
        uint64_t bits = ((const uint64_t *)n->data)[at];
        word(s, 1);
        word(s, (bits & 0x7fffffffffffffffULL) > 0x7ff0000000000000ULL ? 0x7ff8000000000000ULL : bits);
        return;
    }
    case DECIMAL: {
        const uint64_t *pair = (const uint64_t *)n->data + 2 * at;
        word(s, 1);
        word(s, pair[0]);
        word(s, pair[1]);
        return;
    }
    case TEXT: {
        const int32_t *ends = (const int32_t *)n->data + at;
        bytes(s, (const uint8_t *)n->more + ends[0], (uint64_t)(ends[1] - ends[0]));
        return;
    }
    case LARGE_TEXT: {
        const int64_t *ends = (const int64_t *)n->data + at;
        bytes(s, (const uint8_t *)n->more + ends[0], (uint64_t)(ends[1] - ends[0]));
        return;
    }
    case FIXED_TEXT: bytes(s, (const uint8_t *)n->data + at * n->width, (uint64_t)n->width); return;
    case LIST:
    case LARGE_LIST: {
        int64_t first, end;
        if (n->kind == LIST) {
            first = ((const int32_t *)n->data)[at];
            end = ((const int32_t *)n->data)[at + 1];
        } else {
            first = ((const int64_t *)n->data)[at];
            end = ((const int64_t *)n->data)[at + 1];
        }
        word(s, (uint64_t)(end - first) << 8 | 3);
        for (; first < end; first++)
            feed(s, n->inner[0], first);
        return;
    }
    case STRUCT:
        word(s, 4);
        for (int64_t i = 0; i < n->count; i++)
            feed(s, n->inner[i], at);
        return;
    case MAP: {
        int64_t first = ((const int32_t *)n->data)[at], end = ((const int32_t *)n->data)[at + 1];
        const node *pair = n->inner[0];
        uint64_t low = 0, high = 0;
        word(s, (uint64_t)(end - first) << 8 | 5);
        for (; first < end; first++) {
            state one;
            uint64_t a, b;
            begin(&one);
            feed(&one, pair->inner[0], first + pair->offset);
            feed(&one, pair->inner[1], first + pair->offset);
            finish(&one, &a, &b);
            low += a;
            high += b;
        }
        word(s, low);
        word(s, high);
        return;
    }
    default: return;
    }
}

static void drop(node *n)
{
    if (!n)
        return;
    for (int64_t i = 0; n->inner && i < n->count; i++)
        drop(n->inner[i]);
    free(n->inner);
    free(n);
}

static int scalar(const char *f, node *n, int64_t buffers)
{
    switch (f[0]) {
    case 'n': n->kind = NOTHING; return 1;
    case 'b': n->kind = BIT; break;
    case 'c': n->kind = I8; break;
    case 's': n->kind = I16; break;
    case 'i': n->kind = I32; break;
    case 'l': n->kind = I64; break;
    case 'C': n->kind = U8; break;
    case 'S': n->kind = U16; break;
    case 'I': n->kind = U32; break;
    case 'f': n->kind = F32; break;
    case 'g': n->kind = F64; break;
    case 'u': case 'z': n->kind = TEXT; break;
    case 'U': case 'Z': n->kind = LARGE_TEXT; break;
    case 'w': n->kind = FIXED_TEXT; n->width = atoll(f + 2); break;
    case 'd': {
        const char *comma = strchr(f, ',');
        if (!comma || strchr(comma + 1, ','))
            return 0; /* of another width than 128 bits */
        n->kind = DECIMAL;
        break;
    }
    case 't':
        if (!strncmp(f, "tdD", 3))
            n->kind = I32;
        else if (!strncmp(f, "tsu:", 4))
            n->kind = I64;
        else
            return 0;
        break;
    default: return 0;
    }
    return buffers >= (n->kind == TEXT || n->kind == LARGE_TEXT ? 3 : 2);
}

static node *build(const struct ArrowSchema *schema, const struct ArrowArray *array, int depth)
{
    const char *f = schema->format;
    node *n = calloc(1, sizeof *n);
    if (!n) {
        PyErr_NoMemory();
        return NULL;
    }
    n->offset = array->offset;
    n->valid = array->n_buffers && array->null_count ? array->buffers[0] : NULL;
    if (schema->dictionary || depth > DEEPEST)
        goto unknown;
    if (f[0] != '+') {
        if (!scalar(f, n, array->n_buffers))
            goto unknown;
        if (n->kind != NOTHING) {
            n->data = array->buffers[1];
            n->more = array->n_buffers > 2 ? array->buffers[2] : NULL;
        }
        return n;
    }
    n->kind = f[1] == 's' ? STRUCT : f[1] == 'l' ? LIST : f[1] == 'L' ? LARGE_LIST : f[1] == 'm' ? MAP : NOTHING;
    if (n->kind == NOTHING || f[2] || schema->n_children != array->n_children)
        goto unknown;
    if (n->kind != STRUCT && array->n_buffers > 1)
        n->data = array->buffers[1];
    if (array->n_children) {
        n->inner = calloc((size_t)array->n_children, sizeof *n->inner);
        if (!n->inner) {
            PyErr_NoMemory();
            drop(n);
            return NULL;
        }
    }
    n->count = array->n_children;
    char *used = calloc((size_t)n->count + 1, 1);
    if (!used) {
        PyErr_NoMemory();
        drop(n);
        return NULL;
    }
    for (int64_t i = 0; i < n->count; i++) {
        int64_t next = -1;
        for (int64_t j = 0; j < n->count; j++) {
            if (used[j])
                continue;
            if (next < 0 || (n->kind == STRUCT && strcmp(schema->children[j]->name, schema->children[next]->name) < 0))
                next = j;
        }
        used[next] = 1;
        n->inner[i] = build(schema->children[next], array->children[next], depth + 1);
        if (!n->inner[i]) {
            free(used);
            drop(n);
            return NULL;
        }
    }
    free(used);
    if (n->kind == MAP) {
        const node *pair = n->inner[0];
        /* The two of a pair stand as they are: key and value, whatever they are called. */
        if (n->count != 1 || pair->kind != STRUCT || pair->count != 2)
            goto unknown;
        node *entries = n->inner[0];
        for (int64_t i = 0; i < 2; i++) {
            drop(entries->inner[i]);
            entries->inner[i] = build(schema->children[0]->children[i], array->children[0]->children[i], depth + 2);
            if (!entries->inner[i]) {
                drop(n);
                return NULL;
            }
        }
    }
    return n;
unknown:
    PyErr_Format(PyExc_ValueError, "rows of Arrow's type %s cannot be hashed", f);
    drop(n);
    return NULL;
}

static PyObject *sums(PyObject *self, PyObject *args)
{
    PyObject *schema_capsule, *array_capsule, *skipped;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOO", &schema_capsule, &array_capsule, &skipped))
        return NULL;
    const struct ArrowSchema *schema = PyCapsule_GetPointer(schema_capsule, "arrow_schema");
    if (!schema)
        return NULL;
    const struct ArrowArray *array = PyCapsule_GetPointer(array_capsule, "arrow_array");
    if (!array)
        return NULL;
    Py_buffer skip = {0};
    if (skipped != Py_None && PyObject_GetBuffer(skipped, &skip, PyBUF_SIMPLE))
        return NULL;
    node *top = NULL;
    PyObject *result = NULL;
    if (strcmp(schema->format, "+s")) {
        PyErr_SetString(PyExc_ValueError, "no batch of rows");
        goto end;
    }
    if (skip.obj && skip.len != array->length) {
        PyErr_SetString(PyExc_ValueError, "as many marks as rows are needed");
        goto end;
    }
    top = build(schema, array, 0);
    if (!top)
        goto end;
    uint64_t low = 0, high = 0;
    long long rows = 0;
    Py_BEGIN_ALLOW_THREADS
    const uint8_t *marks = skip.buf;
    for (int64_t i = 0; i < array->length; i++) {
        if (marks && marks[i])
            continue;
        state one;
        uint64_t a, b;
        begin(&one);
        for (int64_t c = 0; c < top->count; c++)
            feed(&one, top->inner[c], i + top->offset);
        finish(&one, &a, &b);
        low += a;
        high += b;
        rows++;
    }
    Py_END_ALLOW_THREADS
    result = Py_BuildValue("LKK", rows, (unsigned long long)low, (unsigned long long)high);
end:
    drop(top);
    if (skip.obj)
        PyBuffer_Release(&skip);
    return result;
}

static PyMethodDef methods[] = {
    {"sums", sums, METH_VARARGS, "sums(schema, array, skipped): (rows, low, high) over a batch's capsules; ``skipped``: a byte for each row, or None"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_rowsum", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__rowsum(void)
{
    return PyModule_Create(&module);
}
