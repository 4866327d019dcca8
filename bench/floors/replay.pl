#!/usr/bin/perl
# Measures the floor of the benchmark with a minimal sender. It replays recorded netlink datagrams over plain
# sockets, waits for the acknowledgement of each, and prints one JSON line for each file: how long it took.
#
#   perl replay.pl FILE...
#
# A file is a series of records: u32 netlink protocol, u32 sequence number of the last message (the one that asks for
# the acknowledgement), u32 length, and the datagram; all little-endian.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant { AF_NETLINK => 16, NLMSG_ERROR => 2, NLMSG_DONE => 3 };

my %sockets;

sub socket_for {
    my ($protocol) = @_;
    return $sockets{$protocol} if $sockets{$protocol};
    socket(my $socket, AF_NETLINK, SOCK_RAW, $protocol) or die "socket: $!";
    setsockopt($socket, SOL_SOCKET, SO_RCVBUF, pack("i", 4 << 20)) or die "SO_RCVBUF: $!";
    setsockopt($socket, SOL_SOCKET, SO_RCVTIMEO, pack("l!l!", 60, 0)) or die "SO_RCVTIMEO: $!";
    bind($socket, pack("S S L L", AF_NETLINK, 0, 0, 0)) or die "bind: $!";
    return $sockets{$protocol} = $socket;
}

# Waits for the answer to message $sequence, and counts the errors of earlier messages of the batch.
sub await {
    my ($socket, $sequence) = @_;
    my $errors = 0;
    while (1) {
        defined recv($socket, my $reply, 65536, 0) or die "recv: $!";
        while (length $reply >= 16) {
            my ($length, $type, undef, $seq) = unpack("L S S L", $reply);
            my $errno = $type == NLMSG_ERROR ? unpack("l", substr($reply, 16, 4)) : 0;
            $errors++ if $errno;
            return $errors if $seq == $sequence && ($type == NLMSG_ERROR || $type == NLMSG_DONE);
            last if $length < 16;
            $reply = substr($reply, ($length + 3) & ~3);
        }
    }
}

for my $file (@ARGV) {
    open(my $in, "<:raw", $file) or die "$file: $!";
    my @records;
    while (read($in, my $head, 12)) {
        my ($protocol, $sequence, $length) = unpack("L<3", $head);
        read($in, my $bytes, $length) == $length or die "$file: cut short";
        push @records, [socket_for($protocol), $sequence, $bytes];
    }
    my ($errors, @micros) = (0);
    my $start = clock_gettime(CLOCK_MONOTONIC);
    my $before = $start;
    for my $record (@records) {
        my ($socket, $sequence, $bytes) = @$record;
        defined send($socket, $bytes, 0) or die "send: $!";
        $errors += await($socket, $sequence);
        my $now = clock_gettime(CLOCK_MONOTONIC);
        push @micros, int(($now - $before) * 1e6);
        $before = $now;
    }
    printf("{\"file\":\"%s\",\"records\":%d,\"errors\":%d,\"ms\":%.3f,\"micros\":[%s]}\n",
        $file, scalar @records, $errors, ($before - $start) * 1e3, join(",", @micros));
}
