/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The first process of a kernel under test: loads the modules that /modules names, runs /matrix with the arguments in
 * /arguments, says how it ended and powers off.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void power_off(void)
{
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    reboot(RB_AUTOBOOT);
    _exit(1);
}

static void die(const char *what)
{
    printf("init: %s: %s\n", what, strerror(errno));
    power_off();
}

static void mount_at(const char *type, const char *where)
{
    mkdir(where, 0755);
    if (mount(type, where, type, 0, NULL) < 0 && errno != EBUSY)
        die(where);
}

static void load_modules(void)
{
    FILE *list = fopen("/modules", "r");
    char name[256];

    if (!list)
        die("/modules");
    while (fgets(name, sizeof name, list)) {
        int fd;

        name[strcspn(name, "\n")] = '\0';
        fd = open(name, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
            die(name);
        close(fd);
    }
    fclose(list);
}

static void set_number(const char *path, int number)
{
    FILE *file = fopen(path, "w");

    if (!file || fprintf(file, "%d\n", number) < 0 || fclose(file) != 0)
        die(path);
}

/* Room for a million entries: these limits are the machine's, which here is ours. Kernels from 5.15 on refuse long chains. */
static void make_room(void)
{
    set_number("/proc/sys/net/netfilter/nf_conntrack_buckets", 1 << 18);
    set_number("/proc/sys/net/netfilter/nf_conntrack_max", 1 << 20);
}

static void bring_up_loopback(void)
{
    struct ifreq request = { 0 };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        die("lo");
    close(fd);
}

int main(void)
{
    static char text[4096];
    char *arguments[64] = { "/matrix" };
    /* What the kernel's command line has for a library with mutants (crates/ctnetlink): it comes as a variable of this program. */
    char mutant[512] = "CTRACK_MUTANT=";
    char *environment[] = { mutant, NULL };
    int console, status = 0;
    size_t count = 1, length;
    FILE *file;
    pid_t child;

    if (getenv("CTRACK_MUTANT"))
        strncat(mutant, getenv("CTRACK_MUTANT"), sizeof mutant - strlen(mutant) - 1);
    mount_at("devtmpfs", "/dev");
    /* The kernel had no console to give to its first process: the initramfs has no device nodes. */
    console = open("/dev/ttyS0", O_RDWR);
    if (console >= 0) {
        dup2(console, 0);
        dup2(console, 1);
        dup2(console, 2);
    }
    mount_at("proc", "/proc");
    mount_at("sysfs", "/sys");
    load_modules();
    bring_up_loopback();
    file = fopen("/arguments", "r");
    if (!file)
        die("/arguments");
    length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    fclose(file);
    for (char *word = strtok(text, " \n"); word && count < 63; word = strtok(NULL, " \n"))
        arguments[count++] = word;
    if (count > 1 && strcmp(arguments[count - 1], "million") == 0)
        make_room();
    child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        execve(arguments[0], arguments, environment);
        die("/matrix");
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status))
        printf("init: matrix ended with exit code %d\n", WEXITSTATUS(status));
    else
        printf("init: matrix was killed by signal %d\n", WTERMSIG(status));
    power_off();
}
