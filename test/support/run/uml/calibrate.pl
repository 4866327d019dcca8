#!/usr/bin/perl
# Process 1 of a guest that is only measured: prints "system call: N us", N to a tenth, and powers off. Needs perl-base only.
use strict;
use warnings;
use POSIX ();

$| = 1;
sub now { return (POSIX::times())[0] / 100 }    # to 10 ms

my ($begun, $calls) = (now(), 0);
while (now() - $begun < 0.4) {
    getppid() for 1 .. 100;
    $calls += 101;
}
printf "system call: %.1f us\n", 1e6 * (now() - $begun) / $calls;
# reboot(LINUX_REBOOT_CMD_POWER_OFF)
syscall(169, 0xfee1dead - 2**32, 672_274_793, 0x4321fedc, 0);
