/* The scanner of holdfast.systems.postgres.wal.scan_python, compiled: same states, same events, tested equal.
 *
 * The walk runs without the GIL into an array of events, which are made into tuples afterwards.
 * Sources: PostgreSQL's xlog_internal.h, xlogrecord.h, xact.h, pg_control.h, versions 14 to 18. Little-endian only, as those servers' hosts here.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 8192u
#define SHORT_HEADER 24u
#define LONG_HEADER_SIZE 40u
#define RECORD_HEADER 24u
#define LONGEST_KEPT (64u << 20)
#define PG_EPOCH_US INT64_C(946684800000000)

enum { PHASE_RECORD, PHASE_SKIP, PHASE_PAGE, PHASE_SEGMENT };
enum { COMMIT = 1, ABORT, RESTORE_POINT, CHECKPOINT, END_OF_RECOVERY, SWITCH, SAMPLE, BAD };

typedef struct {
    int kind;
    uint64_t start, end;
    uint32_t xid;
    int64_t time;
    char name[65];
    uint64_t a, b;
} Event;

typedef struct {
    PyObject_HEAD
    uint64_t position, record_end, segment;
    int full, phase, header_due, keep, busy, failed;
    unsigned char header[LONG_HEADER_SIZE];
    uint32_t header_got;
    unsigned char *record;
    size_t record_room;
    uint64_t start;
    uint32_t total, got, skip;
    uint16_t magic;
    int64_t sampled;
    Event *events;
    size_t count, room;
    uint64_t commits, aborts, last_start;
    int64_t first, last;
    uint32_t xid_min, xid_max;
} Scanner;

static uint16_t u16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const unsigned char *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }
static uint64_t u64(const unsigned char *p) { return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32; }
static int64_t pg_time(const unsigned char *p) { return (int64_t)(u64(p) + (uint64_t)PG_EPOCH_US); }

static void add(Scanner *s, int kind, uint64_t start, uint64_t end, uint32_t xid, int64_t time, uint64_t a, uint64_t b, const unsigned char *name, size_t length)
{
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 64;
        Event *bigger = realloc(s->events, room * sizeof(Event));
        if (!bigger) {
            s->failed = 1;
            return;
        }
        s->events = bigger;
        s->room = room;
    }
    Event *e = &s->events[s->count++];
    e->kind = kind;
    e->start = start;
    e->end = end;
    e->xid = xid;
    e->time = time;
    e->a = a;
    e->b = b;
    if (length > 64)
        length = 64;
    if (length)
        memcpy(e->name, name, length);
    e->name[length] = 0;
}

static void begin(Scanner *s)
{
    s->phase = PHASE_RECORD;
    s->total = s->got = 0;
    s->keep = 0;
}

static int reserve(Scanner *s, size_t size)
{
    if (size <= s->record_room)
        return 1;
    unsigned char *bigger = realloc(s->record, size);
    if (!bigger) {
        s->failed = 1;
        return 0;
    }
    s->record = bigger;
    s->record_room = size;
    return 1;
}

/* The main data of a record without block references; NULL for anything else. */
static const unsigned char *main_data(const unsigned char *record, uint32_t size, uint32_t *length)
{
    uint32_t at = RECORD_HEADER;
    *length = 0;
    while (at < size) {
        unsigned kind = record[at];
        if (kind == 255 && at + 2 <= size) {
            *length = record[at + 1];
            at += 2;
        } else if (kind == 254 && at + 5 <= size) {
            *length = u32(record + at + 1);
            at += 5;
        } else if (kind == 253) {
            at += 3;
            continue;
        } else if (kind == 252) {
            at += 5;
            continue;
        } else
            return NULL;
        if (*length > size - at)
            *length = size - at;
        return record + at;
    }
    return NULL;
}

static uint32_t prepared_xid(const unsigned char *data, uint32_t size, int committed, uint16_t magic)
{
    static const uint32_t bits[4] = {2, 4, 256, 8};
    if (size < 12)
        return 0;
    uint32_t info = u32(data + 8);
    uint64_t widths[4] = {4, 12, magic >= 0xD118 ? 16 : 12, 16};
    uint64_t at = 12 + (info & 1 ? 8 : 0);
    for (int i = 0; i < 4; i++) {
        if (!(info & bits[i]) || (!committed && bits[i] == 8))
            continue;
        if (at + 4 > size)
            return 0;
        at += 4 + widths[i] * u32(data + at);
    }
    return (info & 16) && at + 4 <= size ? u32(data + at) : 0;
}

static void transaction(Scanner *s, const unsigned char *data, uint32_t size, unsigned info, uint32_t xid, uint64_t end)
{
    unsigned op = info & 0x70;
    if (size < 8)
        return;
    int64_t time = pg_time(data);
    int committed = op == 0x00 || op == 0x30;
    if ((info & 0x80) && (op == 0x30 || op == 0x40)) {
        uint32_t found = prepared_xid(data, size, committed, s->magic);
        if (found)
            xid = found;
    }
    if (committed) {
        s->commits++;
        if (s->commits == 1 || time < s->first)
            s->first = time;
        if (s->commits == 1 || time > s->last)
            s->last = time;
        if (xid) {
            if (!s->xid_min || xid < s->xid_min)
                s->xid_min = xid;
            if (xid > s->xid_max)
                s->xid_max = xid;
        }
        s->last_start = s->start;
        if (!s->full && time >= s->sampled + 1000000) {
            s->sampled = time;
            add(s, SAMPLE, s->start, end, xid, time, 0, 0, NULL, 0);
        }
    } else
        s->aborts++;
    if (s->full)
        add(s, committed ? COMMIT : ABORT, s->start, end, xid, time, 0, 0, NULL, 0);
}

static uint64_t decode(Scanner *s, uint64_t end)
{
    const unsigned char *record = s->record;
    uint32_t xid = u32(record + 4), length;
    unsigned info = record[16], op = info & 0xF0;
    const unsigned char *data = main_data(record, s->total, &length);
    if (record[17] == 1)
        transaction(s, data, length, info, xid, end);
    else if (op == 0x40) {
        end = (end + s->segment - 1) / s->segment * s->segment;
        add(s, SWITCH, s->start, end, xid, 0, 0, 0, NULL, 0);
        s->phase = PHASE_SEGMENT;
    } else if (op == 0x70 && length >= 9) {
        size_t n = 0, most = length - 8 > 64 ? 64 : length - 8;
        while (n < most && data[8 + n])
            n++;
        add(s, RESTORE_POINT, s->start, end, xid, pg_time(data), 0, 0, data + 8, n);
    } else if (op == 0x90 && length >= 16)
        add(s, END_OF_RECOVERY, s->start, end, xid, pg_time(data), u32(data + 8), u32(data + 12), NULL, 0);
    else if ((op == 0x00 || op == 0x10) && length >= 16)
        add(s, CHECKPOINT, s->start, end, xid, 0, u64(data), u32(data + 8), NULL, 0);
    return end;
}

static void finish(Scanner *s)
{
    if (s->got < s->total)
        return;
    uint64_t end = (s->position + 7) / 8 * 8;
    if (s->keep)
        end = decode(s, end);
    s->record_end = end;
    int switched = s->phase == PHASE_SEGMENT;
    begin(s);
    if (switched && s->position % s->segment)
        s->phase = PHASE_SEGMENT;
}

static int wanted(const unsigned char *record)
{
    unsigned info = record[16], op = info & 0xF0;
    if (record[17] == 1) {
        op = info & 0x70;
        return op == 0x00 || op == 0x20 || op == 0x30 || op == 0x40;
    }
    return record[17] == 0 && (op == 0x00 || op == 0x10 || op == 0x40 || op == 0x70 || op == 0x90);
}

static size_t page_header(Scanner *s, const unsigned char *data, size_t size)
{
    uint32_t need = s->header_got >= 4 && (s->header[2] & 2) ? LONG_HEADER_SIZE : SHORT_HEADER;
    size_t n = need - s->header_got;
    if (n > size)
        n = size;
    memcpy(s->header + s->header_got, data, n);
    s->header_got += (uint32_t)n;
    s->position += n;
    uint16_t magic = s->header_got >= 2 ? u16(s->header) : 0;
    if (s->header_got < need || (need == SHORT_HEADER && (s->header[2] & 2) && magic))
        return n;
    s->header_due = 0;
    s->header_got = 0;
    unsigned info = u16(s->header + 2);
    uint64_t address = u64(s->header + 8), page = (s->position - 1) / PAGE * PAGE;
    uint32_t left = u32(s->header + 16);
    if (magic == 0)
        s->phase = PHASE_SEGMENT;
    else if (magic >> 8 != 0xD1 || address != page) {
        add(s, BAD, page, s->position, 0, 0, magic, address, NULL, 0);
        s->phase = PHASE_PAGE;
    } else if (info & 1) {
        s->magic = magic;
        if (!(s->phase == PHASE_RECORD && s->got >= 4 && left == s->total - s->got)) {
            s->phase = PHASE_SKIP;
            s->skip = left;
        }
    } else {
        s->magic = magic;
        begin(s);
    }
    return n;
}

static size_t in_record(Scanner *s, const unsigned char *data, size_t room)
{
    size_t n;
    if (s->got == 0) {
        size_t pad = (size_t)((8 - s->position % 8) % 8);
        if (pad) {
            n = pad < room ? pad : room;
            s->position += n;
            return n;
        }
        s->start = s->position;
        if (!reserve(s, 256))
            return room;
    }
    if (s->got < RECORD_HEADER) {
        n = (s->got < 4 ? 4 : RECORD_HEADER) - s->got;
        if (n > room)
            n = room;
        memcpy(s->record + s->got, data, n);
        s->got += (uint32_t)n;
        s->position += n;
        if (s->got == 4) {
            s->total = u32(s->record);
            if (s->total == 0)
                s->phase = PHASE_SEGMENT;
            else if (s->total < RECORD_HEADER) {
                add(s, BAD, s->start, s->position, 0, 0, s->total, 0, NULL, 0);
                s->phase = PHASE_PAGE;
            }
        } else if (s->got == RECORD_HEADER) {
            s->keep = wanted(s->record) && s->total <= LONGEST_KEPT && reserve(s, s->total);
            finish(s);
        }
        return n;
    }
    n = s->total - s->got;
    if (n > room)
        n = room;
    if (s->keep)
        memcpy(s->record + s->got, data, n);
    s->got += (uint32_t)n;
    s->position += n;
    finish(s);
    return n;
}

static void walk(Scanner *s, const unsigned char *data, size_t size)
{
    size_t at = 0;
    while (at < size && !s->failed) {
        size_t left = size - at, n;
        if (s->position % PAGE == 0 && !(s->phase == PHASE_SEGMENT && s->position % s->segment))
            s->header_due = 1;
        if (s->header_due) {
            at += page_header(s, data + at, left);
            continue;
        }
        size_t room = (size_t)(PAGE - s->position % PAGE);
        if (room > left)
            room = left;
        if (s->phase == PHASE_SEGMENT) {
            uint64_t rest = s->segment - s->position % s->segment;
            n = rest < left ? (size_t)rest : left;
            s->position += n;
            if (s->position % s->segment == 0)
                s->phase = PHASE_PAGE;
        } else if (s->phase == PHASE_PAGE) {
            n = room;
            s->position += n;
        } else if (s->phase == PHASE_SKIP) {
            n = s->skip < room ? s->skip : room;
            s->skip -= (uint32_t)n;
            s->position += n;
            if (!s->skip)
                begin(s);
        } else
            n = in_record(s, data + at, room);
        at += n;
    }
}

static int scanner_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
    Scanner *s = (Scanner *)self;
    unsigned long long position, segment;
    int full = 0, at_record = 0;
    if (kwargs && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Scanner takes no keyword arguments");
        return -1;
    }
    if (!PyArg_ParseTuple(args, "KK|pp:Scanner", &position, &segment, &full, &at_record))
        return -1;
    if (segment == 0 || segment % PAGE) {
        PyErr_SetString(PyExc_ValueError, "segment size must be a multiple of the page size");
        return -1;
    }
    s->position = position;
    s->segment = segment;
    s->full = full;
    s->record_end = at_record ? position : 0;
    s->phase = at_record ? PHASE_RECORD : PHASE_PAGE;
    s->header_due = position % PAGE == 0;
    return 0;
}

static void scanner_dealloc(PyObject *self)
{
    Scanner *s = (Scanner *)self;
    PyTypeObject *type = Py_TYPE(self);
    free(s->record);
    free(s->events);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *scanner_feed(PyObject *self, PyObject *data)
{
    Scanner *s = (Scanner *)self;
    Py_buffer view;
    if (s->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the scanner is in use by another thread");
        return NULL;
    }
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    s->busy = 1;
    Py_BEGIN_ALLOW_THREADS
    walk(s, view.buf, (size_t)view.len);
    Py_END_ALLOW_THREADS
    s->busy = 0;
    PyBuffer_Release(&view);
    if (s->failed)
        return PyErr_NoMemory();
    PyObject *found = PyList_New((Py_ssize_t)s->count);
    if (!found)
        return NULL;
    for (size_t i = 0; i < s->count; i++) {
        Event *e = &s->events[i];
        PyObject *item = Py_BuildValue("(iKKkLyKK)", e->kind, (unsigned long long)e->start, (unsigned long long)e->end, (unsigned long)e->xid,
                                       (long long)e->time, e->name, (unsigned long long)e->a, (unsigned long long)e->b);
        if (!item || PyList_SetItem(found, (Py_ssize_t)i, item) < 0) {
            Py_DECREF(found);
            return NULL;
        }
    }
    s->count = 0;
    return found;
}

static PyObject *scanner_summary(PyObject *self, PyObject *ignored)
{
    Scanner *s = (Scanner *)self;
    (void)ignored;
    PyObject *found = Py_BuildValue("(KLLkkKK)", (unsigned long long)s->commits, (long long)s->first, (long long)s->last, (unsigned long)s->xid_min,
                                    (unsigned long)s->xid_max, (unsigned long long)s->last_start, (unsigned long long)s->aborts);
    s->commits = s->aborts = s->last_start = 0;
    s->first = s->last = 0;
    s->xid_min = s->xid_max = 0;
    return found;
}

static PyObject *get_position(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(((Scanner *)self)->position);
}

static PyObject *get_record_end(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(((Scanner *)self)->record_end);
}

static PyMethodDef scanner_methods[] = {
    {"feed", scanner_feed, METH_O, "Take the next bytes; the events of records that end in them, as tuples."},
    {"summary", scanner_summary, METH_NOARGS, "Of all commits since the last call."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef scanner_fields[] = {
    {"position", get_position, NULL, NULL, NULL},
    {"record_end", get_record_end, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot scanner_slots[] = {
    {Py_tp_init, scanner_init}, {Py_tp_dealloc, scanner_dealloc}, {Py_tp_methods, scanner_methods}, {Py_tp_getset, scanner_fields}, {0, NULL},
};

static PyType_Spec scanner_spec = {"holdfast.systems.postgres._walscan.Scanner", sizeof(Scanner), 0, Py_TPFLAGS_DEFAULT, scanner_slots};

static int module_exec(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&scanner_spec);
    if (!type)
        return -1;
    int failed = PyModule_AddObjectRef(module, "Scanner", type);
    Py_DECREF(type);
    return failed;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_walscan", "A streaming scan of PostgreSQL's WAL.", 0, NULL, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__walscan(void) { return PyModuleDef_Init(&module); }
