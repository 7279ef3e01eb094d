#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>

int command_fail(int code, const char *command, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)fprintf(stderr, "hejnal %s: %s\n", command, text);
    return code;
}
