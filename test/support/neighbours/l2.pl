#!/usr/bin/perl
# Announces addresses on a link as the speaker of MetalLB does, and finds out who answers for an address. Needs perl-base only.
#   l2.pl announce DEVICE ADDRESS...          announces them once, then answers ARP requests and neighbour solicitations for them with
#                                             the hardware address of the device until it is ended; prints "ready"
#   l2.pl claim DEVICE ADDRESS...             announces them once, as gratuitous ARP and as unsolicited neighbour advertisements
#   l2.pl ask DEVICE SECONDS FROM ADDRESS FENCE...   asks by ARP for the address and then for each fence; prints the hardware addresses that
#                                             have answered for the address, when each fence was answered. Kernels answer in order, and
#                                             so do announcers: whoever did not answer by then does not answer
use strict;
use warnings;
use Socket qw(AF_INET AF_INET6 SOCK_RAW inet_pton inet_ntop);

use constant { PF_PACKET => 17, ALL => 0x0003, ARP => 0x0806, IPV6 => 0x86dd, BROADCAST => "\xff" x 6 };

$| = 1;
my ($command, $device, @rest) = @ARGV;
my %commands = (announce => \&announce, claim => \&claim, ask => \&ask);
my $run = $commands{ $command // '' } or die "usage: l2.pl announce|claim|ask DEVICE ...\n";
my $own = hardware_address();
my $socket = packet_socket();
$run->(@rest);

# /sys shows the devices of the namespace in which it was mounted.
sub hardware_address {
    my ($text) = `ip -o link show $device` =~ m{link/ether (\S+)} or die "l2.pl: no device $device\n";
    return pack 'H12', $text =~ tr/://dr;
}

sub packet_socket {
    socket(my $packets, PF_PACKET, SOCK_RAW, unpack 'n', pack 'S', ALL) or die "l2.pl: packet socket: $!\n";
    my ($index) = `ip -o link show $device` =~ /^(\d+):/ or die "l2.pl: no device $device\n";
    bind($packets, pack 'SnlSCCx8', PF_PACKET, ALL, $index, 0, 0, 0) or die "l2.pl: bind: $!\n";
    return $packets;
}

sub announce {
    my %mine = map { (inet_pton(/:/ ? AF_INET6 : AF_INET, $_) => 1) } @_;
    claim(@_);
    print "ready\n";
    while (defined recv $socket, my $frame, 2_048, 0) {
        my ($from, $type) = unpack 'x6 a6 n', $frame;
        if ($type == ARP && length $frame >= 42) {
            my ($operation, $sender_mac, $sender, $target) = unpack 'x20 n a6 a4 x6 a4', $frame;
            next unless $operation == 1 && $mine{$target} && $from ne $own;
            send $socket, arp(2, $own, $target, $sender_mac, $sender, $from), 0;
        }
        elsif ($type == IPV6 && length $frame >= 78) {
            my ($next, $source, $kind, $target) = unpack 'x20 C x a16 x16 C x7 a16', $frame;
            next unless $next == 58 && $kind == 135 && $mine{$target} && $from ne $own;
            send $socket, advertisement($target, $source, $from, 0x60000000), 0;
        }
    }
}

sub claim {
    for my $address (@_) {
        my $bytes = inet_pton($address =~ /:/ ? AF_INET6 : AF_INET, $address);
        my $all = inet_pton(AF_INET6, 'ff02::1');
        my @frames = length $bytes == 4
            ? map { arp($_, $own, $bytes, BROADCAST, $bytes, BROADCAST) } 1, 2
            : advertisement($bytes, $all, pack('H12', '333300000001'), 0x20000000);
        send $socket, $_, 0 or die "l2.pl: send: $!\n" for @frames;
    }
}

sub ask {
    my ($seconds, $from, $address, @fences) = @_;
    my ($sender, @targets) = map { inet_pton(AF_INET, $_) } $from, $address, @fences;
    send $socket, arp(1, $own, $sender, "\0" x 6, $_, BROADCAST), 0 or die "l2.pl: send: $!\n" for @targets;
    my (%answered, %open);
    @open{@fences} = ();
    local $SIG{ALRM} = sub { die "l2.pl: no answer from " . join(' ', sort keys %open) . "\n" };
    alarm $seconds;
    while (%open) {
        defined recv $socket, my $frame, 2_048, 0 or die "l2.pl: recv: $!\n";
        next unless length $frame >= 42;
        my ($type, $operation, $mac, $answer) = unpack 'x12 n x6 n a6 a4', $frame;
        next unless $type == ARP && $operation == 2;
        my $text = inet_ntop(AF_INET, $answer);
        delete $open{$text};
        $answered{ join ':', unpack '(H2)*', $mac } = 1 if $text eq $address;
    }
    print join(' ', sort keys %answered), "\n";
}

# An Ethernet frame with ARP (RFC 826).
sub arp {
    my ($operation, $sender_mac, $sender, $target_mac, $target, $to) = @_;
    return pack 'a6 a6 n n n C C n a6 a4 a6 a4', $to, $own, ARP, 1, 0x0800, 6, 4, $operation, $sender_mac, $sender, $target_mac, $target;
}

# An Ethernet frame with a neighbour advertisement (RFC 4861, 4.4) and the option for the hardware address.
sub advertisement {
    my ($target, $to, $to_mac, $flags) = @_;
    my $payload = pack 'C C n N a16 C C a6', 136, 0, 0, $flags, $target, 2, 1, $own;
    my $sum = 58 + length $payload;
    $sum += $_ for unpack 'n*', $target . $to . $payload;
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum > 0xffff;
    substr($payload, 2, 2) = pack 'n', ~$sum & 0xffff;
    return pack('a6 a6 n', $to_mac, $own, IPV6) . pack('N n C C a16 a16', 6 << 28, length $payload, 58, 255, $target, $to) . $payload;
}
