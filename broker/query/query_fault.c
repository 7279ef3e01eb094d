#include "broker/query/query_fault.h"

#include <stdarg.h>
#include <stdio.h>

void query_fault_set(struct query_fault *f, Hejnal__V1__Error__Code code, const char *field,
                     const char *format, ...)
{
    va_list arguments;
    *f = (struct query_fault){.code = code};
    (void)snprintf(f->field, sizeof f->field, "%s", field);
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): started in the line above
    (void)vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
}

enum err query_fault_at(struct query_fault *f, const char *field, size_t position, const char *text)
{
    query_fault_set(f, HEJNAL__V1__ERROR__CODE__INVALID, field, "%s", text);
    f->position = (uint32_t)position;
    return E_MALFORMED;
}
