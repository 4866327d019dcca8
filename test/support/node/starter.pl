#!/usr/bin/perl
# Starts programs for a process that is too large to do it often: a fork copies the tables of all its memory.
#   starter.pl SOCKET        an abstract Unix socket
# Reads from stdin "start ID NAMESPACE WORD WORD ...", the words in hex and the namespace a file or "-", and "kill ID SIGNAL".
# Its stdin, stdout and stderr are connections to the socket that begin with the lines "ID in", "ID out" and "ID err". Prints
# "ID CODE SIGNAL" when it has ended. Ends with its stdin; what it has started goes on. Needs perl-base only.
use strict;
use warnings;
use POSIX qw(:signal_h :sys_wait_h);
use Socket;

my $address = pack_sockaddr_un("\0" . shift);
my %calls   = (x86_64 => [308, 289], aarch64 => [268, 74]);
my ($setns, $signalfd4) = @{ $calls{ (POSIX::uname())[4] } or die "starter.pl: unknown machine\n" };
my %ids;     # by process
my %pids;    # by id

# Perl runs a handler between two of its operations, so a signal that comes just before select would not wake it. A file
# descriptor of signals does (signalfd).
my $ended = POSIX::SigSet->new(SIGCHLD);
POSIX::sigprocmask(SIG_BLOCK, $ended);
my $mask    = pack 'Q', 1 << SIGCHLD - 1;
my $signals = syscall $signalfd4, -1, $mask, length $mask, 0;
die "starter.pl: signalfd: $!\n" if $signals < 0;
open my $woken, '<&=', $signals or die "starter.pl: $!\n";
$| = 1;

my $lines = '';
while (1) {
    my $ready = '';
    vec($ready, fileno $_, 1) = 1 for *STDIN, $woken;
    next if select($ready, undef, undef, undef) < 0;
    if (vec $ready, fileno $woken, 1) {
        sysread $woken, my $information, 4096;
        reap();
    }
    next unless vec $ready, fileno STDIN, 1;
    sysread STDIN, $lines, 65_536, length $lines or exit;
    carry_out(split ' ', $1) while $lines =~ s/^([^\n]*)\n//;
}

sub carry_out {
    my ($command, $id, @rest) = @_;
    if ($command eq 'start') { start($id, @rest) }
    elsif ($pids{$id})       { kill $rest[0], $pids{$id} }
}

sub start {
    my ($id, $namespace, @words) = @_;
    # Before the fork: also a program that is killed at once closes them.
    my @sockets = map { connection("$id $_\n") } qw(in out err);
    my $pid = fork // die "starter.pl: fork: $!\n";
    become($namespace, \@sockets, map { pack 'H*', $_ } @words) unless $pid;
    $ids{$pid} = $id;
    $pids{$id} = $pid;
}

sub reap {
    while ((my $pid = waitpid -1, WNOHANG) > 0) {
        my $id = delete $ids{$pid};
        delete $pids{$id};
        print "$id ", $? >> 8, ' ', $? & 127, "\n";
    }
}

sub become {
    my ($namespace, $sockets, @words) = @_;
    POSIX::sigprocmask(SIG_UNBLOCK, $ended);
    POSIX::dup2(fileno $sockets->[$_], $_) for 0 .. 2;
    enter($namespace) unless $namespace eq '-';
    no warnings 'exec';
    exec { $words[0] } @words or print STDERR "$words[0]: $!\n";
    POSIX::_exit(127);
}

sub connection {
    my ($begin) = @_;
    socket(my $socket, AF_UNIX, SOCK_STREAM, 0) or die "starter.pl: socket: $!\n";
    connect($socket, $address) && syswrite($socket, $begin) or die "starter.pl: connect: $!\n";
    return $socket;
}

sub enter {
    my ($path) = @_;
    open my $file, '<', $path or print(STDERR "$path: $!\n"), POSIX::_exit(126);
    syscall($setns, fileno $file, 0x40000000) == 0 or print(STDERR "setns: $!\n"), POSIX::_exit(126);
}
