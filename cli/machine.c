#include "cli/machine.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"

enum { GROUPS_MAX = 64, TOPIC_BYTES = 96, JSON_BYTES = 640, COUNTERS_MAX = 64, PATH_BYTES = 512 };

/* A counter that only grows, as seen at the last look; its rate needs the one before. */
struct counter {
    char name[TOPIC_BYTES];
    double value;
};

struct group {
    char topic[TOPIC_BYTES];
    char json[JSON_BYTES];
    size_t size;
    unsigned members;
};

struct machine {
    char root[PATH_BYTES];
    int64_t now_ns, before_ns;
    unsigned groups, next, counters;
    struct group group[GROUPS_MAX];
    struct counter counter[COUNTERS_MAX];
};

enum err machine_create(const char *root, struct machine **out)
{
    struct machine *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return E_NO_MEMORY;
    }
    (void)snprintf(m->root, sizeof m->root, "%s", root);
    *out = m;
    return OK;
}

void machine_destroy(struct machine *m)
{
    free(m);
}

__attribute__((format(printf, 2, 3))) static FILE *open_file(const struct machine *m,
                                                             const char *format, ...)
{
    char path[PATH_BYTES * 2];
    va_list args;
    size_t size = (size_t)snprintf(path, sizeof path, "%s", m->root);
    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, one line above
    (void)vsnprintf(path + size, sizeof path - size, format, args);
    va_end(args);
    return fopen(path, "re");
}

/* Start a group; NULL: too many of them, as on a machine with dozens of disks. */
static struct group *group_start(struct machine *m, const char *topic)
{
    if (m->groups == GROUPS_MAX) {
        return NULL;
    }
    struct group *g = &m->group[m->groups++];
    (void)snprintf(g->topic, sizeof g->topic, "%s", topic);
    g->members = 0;
    g->size =
        (size_t)snprintf(g->json, sizeof g->json, "{\"time\":%" PRId64, m->now_ns / NS_PER_MS);
    return g;
}

static void group_put(struct group *g, const char *name, double value, int digits)
{
    if (g == NULL || g->size + 80 > sizeof g->json) {
        return;
    }
    g->size += (size_t)snprintf(g->json + g->size, sizeof g->json - g->size, ",\"%s\":%.*f", name,
                                digits, value);
    g->members++;
}

static void group_end(struct machine *m, struct group *g)
{
    if (g != NULL && g->members == 0) {
        m->groups--;
    } else if (g != NULL) {
        g->json[g->size++] = '}';
    }
}

/* By how much a counter grew a second since the last look; below 0: not known yet. */
static double rate_of(struct machine *m, const char *group, const char *name, double value)
{
    char key[TOPIC_BYTES];
    (void)snprintf(key, sizeof key, "%s/%s", group, name);
    double seconds = (double)(m->now_ns - m->before_ns) / NS_PER_S;
    for (unsigned i = 0; i < m->counters; i++) {
        struct counter *c = &m->counter[i];
        if (strcmp(c->name, key) == 0) {
            double grown = value - c->value;
            c->value = value;
            return m->before_ns > 0 && seconds > 0 && grown >= 0 ? grown / seconds : -1;
        }
    }
    if (m->counters < COUNTERS_MAX) {
        struct counter *c = &m->counter[m->counters++];
        memcpy(c->name, key, sizeof key);
        c->value = value;
    }
    return -1;
}

static void put_rate(struct machine *m, struct group *g, const char *name, double value)
{
    double rate = g != NULL ? rate_of(m, g->topic, name, value) : -1;
    if (rate >= 0) {
        group_put(g, name, rate, 0);
    }
}

// NOLINTBEGIN(cert-err34-c): the kernel writes these numbers, and a count of them is checked
static void look_at_load(struct machine *m)
{
    double load[3], uptime;
    FILE *file = open_file(m, "/proc/loadavg");
    struct group *g = group_start(m, "load");
    if (file != NULL && fscanf(file, "%lf %lf %lf", &load[0], &load[1], &load[2]) == 3) {
        group_put(g, "load1", load[0], 2);
        group_put(g, "load5", load[1], 2);
        group_put(g, "load15", load[2], 2);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    file = open_file(m, "/proc/uptime");
    if (file != NULL && fscanf(file, "%lf", &uptime) == 1) {
        group_put(g, "uptime_s", uptime, 0);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    group_end(m, g);
}

/* Percent of the time since the last look, from ticks of 1/100 s. */
static void look_at_cpu(struct machine *m)
{
    static const char *const names[] = {"user",   "nice", "system",  "idle",
                                        "iowait", "irq",  "softirq", "steal"};
    double ticks[8], rates[8], sum = 0;
    FILE *file = open_file(m, "/proc/stat");
    if (file == NULL) {
        return;
    }
    struct group *g = group_start(m, "cpu");
    int found = fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1], &ticks[2],
                       &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]);
    for (int i = 0; i < 8 && found == 8; i++) {
        rates[i] = rate_of(m, "cpu", names[i], ticks[i]);
        sum += rates[i] > 0 ? rates[i] : 0;
    }
    for (int i = 0; i < 8 && found == 8 && sum > 0; i++) {
        if (rates[i] >= 0) {
            group_put(g, names[i], 100 * rates[i] / sum, 1);
        }
    }
    group_end(m, g);
    (void)fclose(file);
}

static void look_at_memory(struct machine *m)
{
    char line[128], name[64];
    double kib;
    FILE *file = open_file(m, "/proc/meminfo");
    if (file == NULL) {
        return;
    }
    static const char *const wanted[][2] = {{"MemTotal", "total_mib"},
                                            {"MemAvailable", "available_mib"},
                                            {"Cached", "cached_mib"},
                                            {"Dirty", "dirty_mib"},
                                            {"SwapFree", "swap_free_mib"}};
    struct group *g = group_start(m, "memory");
    while (fgets(line, sizeof line, file) != NULL) {
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
            if (sscanf(line, "%63[^:]: %lf", name, &kib) == 2 && strcmp(name, wanted[i][0]) == 0) {
                group_put(g, wanted[i][1], kib / 1024, 1);
            }
        }
    }
    group_end(m, g);
    (void)fclose(file);
}

static void look_at_disk(struct machine *m)
{
    struct statvfs fs;
    if (statvfs(m->root[0] == 0 ? "/" : m->root, &fs) == 0 && fs.f_blocks > 0) {
        struct group *g = group_start(m, "disk");
        double block = (double)fs.f_frsize / (1 << 30);
        group_put(g, "size_gib", (double)fs.f_blocks * block, 2);
        group_put(g, "free_gib", (double)fs.f_bavail * block, 2);
        group_put(g, "used_percent", 100 - 100 * (double)fs.f_bavail / (double)fs.f_blocks, 2);
        group_end(m, g);
    }
}

/* Whole disks only: not partitions, loops or RAM disks. */
static bool is_disk(const struct machine *m, const char *name)
{
    FILE *file = open_file(m, "/sys/block/%s/stat", name);
    if (file == NULL || strncmp(name, "loop", 4) == 0 || strncmp(name, "ram", 3) == 0 ||
        strncmp(name, "zram", 4) == 0) {
        if (file != NULL) {
            (void)fclose(file);
        }
        return false;
    }
    (void)fclose(file);
    return true;
}

static void look_at_disk_io(struct machine *m)
{
    char line[256], name[40], topic[TOPIC_BYTES];
    double reads, read_sectors, writes, write_sectors;
    FILE *file = open_file(m, "/proc/diskstats");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "%*d %*d %39s %lf %*f %lf %*f %lf %*f %lf", name, &reads, &read_sectors,
                   &writes, &write_sectors) != 5 ||
            !is_disk(m, name)) {
            continue;
        }
        (void)snprintf(topic, sizeof topic, "disk/%s", name);
        struct group *g = group_start(m, topic);
        put_rate(m, g, "reads_per_s", reads);
        put_rate(m, g, "writes_per_s", writes);
        put_rate(m, g, "read_bytes_per_s", read_sectors * 512);
        put_rate(m, g, "write_bytes_per_s", write_sectors * 512);
        group_end(m, g);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void look_at_network(struct machine *m)
{
    char line[256], name[40], topic[TOPIC_BYTES];
    double rx_bytes, rx_packets, rx_errors, tx_bytes, tx_packets;
    FILE *file = open_file(m, "/proc/net/dev");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, " %39[^:]: %lf %lf %lf %*f %*f %*f %*f %*f %lf %lf", name, &rx_bytes,
                   &rx_packets, &rx_errors, &tx_bytes, &tx_packets) != 6 ||
            rx_packets + tx_packets <= 0) {
            continue; /* Not in use. */
        }
        (void)snprintf(topic, sizeof topic, "network/%s", name);
        struct group *g = group_start(m, topic);
        put_rate(m, g, "rx_bytes_per_s", rx_bytes);
        put_rate(m, g, "tx_bytes_per_s", tx_bytes);
        put_rate(m, g, "rx_packets_per_s", rx_packets);
        put_rate(m, g, "tx_packets_per_s", tx_packets);
        put_rate(m, g, "rx_errors_per_s", rx_errors);
        group_end(m, g);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void look_at_zone(struct machine *m, struct group *g, const char *zone)
{
    double millidegrees;
    FILE *file = open_file(m, "/sys/class/thermal/%s/temp", zone);
    if (file != NULL && fscanf(file, "%lf", &millidegrees) == 1) {
        group_put(g, zone, millidegrees / 1000, 1);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

// NOLINTEND(cert-err34-c)

static void look_at_temperatures(struct machine *m)
{
    char path[PATH_BYTES * 2];
    (void)snprintf(path, sizeof path, "%s/sys/class/thermal", m->root);
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return;
    }
    struct group *g = group_start(m, "temperature");
    // NOLINTNEXTLINE(concurrency-mt-unsafe): the directory stream is this function's own
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strncmp(entry->d_name, "thermal_zone", 12) == 0 && strlen(entry->d_name) < 32) {
            look_at_zone(m, g, entry->d_name);
        }
    }
    group_end(m, g);
    (void)closedir(directory);
}

void machine_look(struct machine *m, int64_t now_ns)
{
    m->before_ns = m->now_ns;
    m->now_ns = now_ns;
    m->groups = m->next = 0;
    look_at_load(m);
    look_at_cpu(m);
    look_at_memory(m);
    look_at_disk(m);
    look_at_disk_io(m);
    look_at_network(m);
    look_at_temperatures(m);
}

enum err machine_next(struct machine *m, const char **topic, struct bytes *payload)
{
    if (m->next == m->groups) {
        return E_END;
    }
    const struct group *g = &m->group[m->next++];
    *topic = g->topic;
    *payload = (struct bytes){(const uint8_t *)g->json, g->size};
    return OK;
}
