#!/usr/bin/perl
# A pod: one process that answers on several ports with its name and the client's address as it arrived here.
#   pod-server.pl [--at ADDRESS,ADDRESS] NAME tcp:8080 tcp:8443 udp:5353 ...
# at these addresses, else at all: UDP then answers from the one that the route back prefers, which on a node may be another.
# TCP, and SCTP as it, answers each line with "NAME CLIENT", an HTTP/1.1 GET or HEAD with JSON and keep-alive; UDP each datagram with
# "NAME CLIENT"; filled up with blanks to what was asked with. Both families. Prints "ready" when all ports are open. Needs perl-base only.
use strict;
use warnings;
use IO::Select;
use Socket qw(:DEFAULT SOCK_NONBLOCK IPPROTO_IPV6 IPV6_V6ONLY inet_ntop inet_pton unpack_sockaddr_in6 pack_sockaddr_in6);

my @addresses = '::';
if (($ARGV[0] // '') eq '--at') {
    @addresses = map { /:/ ? $_ : "::ffff:$_" } split /,/, $ARGV[1];
    splice @ARGV, 0, 2;
}
my ($name, @ports) = @ARGV;
die "usage: pod-server.pl [--at ADDRESS,...] NAME (tcp|udp|sctp):PORT...\n" unless @ports;
$| = 1;
$SIG{PIPE} = 'IGNORE';

my $select = IO::Select->new;
my %listeners;      # by file number: protocol and port
my %connections;    # by file number: port, client, bytes not answered yet, whether we are in an HTTP head

for my $spec (@ports) {
    my ($protocol, $port) = $spec =~ /^(tcp|udp|sctp):(\d+)$/ or die "pod-server.pl: \"$spec\" is not tcp:PORT, udp:PORT or sctp:PORT\n";
    open_port($protocol, $port, $_) for @addresses;
}
print "ready\n";

while (1) {
    for my $socket ($select->can_read) {
        my $listener = $listeners{ fileno $socket };
        if    (!$listener)                      { read_connection($socket) }
        elsif ($listener->{protocol} ne 'udp')  { accept_all($socket, $listener->{port}) }
        else                                    { answer_datagrams($socket) }
    }
}

sub open_port {
    my ($protocol, $port, $address) = @_;
    unsign_cookies() if $protocol eq 'sctp';
    my $type = $protocol eq 'udp' ? SOCK_DGRAM : SOCK_STREAM;
    socket(my $socket, AF_INET6, $type | SOCK_NONBLOCK, $protocol eq 'sctp' ? 132 : 0) or die "pod-server.pl: socket: $!\n";
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    setsockopt($socket, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    bind($socket, pack_sockaddr_in6($port, inet_pton(AF_INET6, $address))) or die "pod-server.pl: $protocol:$port at $address: $!\n";
    $protocol eq 'udp' or listen($socket, 128) or die "pod-server.pl: listen: $!\n";
    $listeners{ fileno $socket } = { protocol => $protocol, port => $port };
    $select->add($socket);
}

# SCTP signs its cookies by a hash that a guest may not have loaded, and refuses to listen without.
sub unsign_cookies {
    open my $file, '>', '/proc/sys/net/sctp/cookie_hmac_alg' or return;
    print $file "none\n";
    close $file;
}

sub address_text {
    my (undef, $bytes) = unpack_sockaddr_in6($_[0]);
    my $text = inet_ntop(AF_INET6, $bytes);
    $text =~ s/^::ffff:(?=\d+\.)//;
    return $text;
}

sub answer_datagrams {
    my ($socket) = @_;
    while (defined(my $from = recv($socket, my $bytes, 65_536, 0))) {
        send($socket, identity(address_text($from), length $bytes), 0, $from);
    }
}

# Who answers whom, in a line of at least so many bytes.
sub identity {
    my ($client, $bytes) = @_;
    return sprintf "%-*s\n", $bytes - 1, "$name $client";
}

sub accept_all {
    my ($listener, $port) = @_;
    while (my $from = accept(my $socket, $listener)) {
        $socket->blocking(0);
        $connections{ fileno $socket } = { port => $port, client => address_text($from), buffer => '', head => undef };
        $select->add($socket);
    }
}

sub read_connection {
    my ($socket) = @_;
    my $connection = $connections{ fileno $socket };
    my $count = sysread($socket, $connection->{buffer}, 65_536, length $connection->{buffer});
    return if !defined $count && $!{EAGAIN};
    return hang_up($socket) unless $count;
    while ($connection->{buffer} =~ s/^([^\n]*)\n//) {
        my $line = $1;
        $line =~ s/\r$//;
        my ($answer, $last) = answer_line($connection, $line);
        syswrite($socket, $answer) if defined $answer;
        return hang_up($socket) if $last;
    }
}

# What to send for one line, if anything, and whether it is the last.
sub answer_line {
    my ($connection, $line) = @_;
    my $head = $connection->{head};
    if (!$head) {
        return identity($connection->{client}, length($line) + 1) unless $line =~ m{^(GET|HEAD) \S+ HTTP/1\.([01])$};
        my ($method, $minor) = ($1, $2);
        $connection->{head} = { method => $method, last => $minor eq '0' };
        return;
    }
    if ($line ne '') {
        $head->{last} = 1 if $line =~ /^connection:\s*close/i;
        return;
    }
    $connection->{head} = undef;
    my $body = qq({"pod":"$name","client":"$connection->{client}","port":$connection->{port}}\n);
    my $keep = $head->{last} ? 'close' : 'keep-alive';
    my $text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\nConnection: $keep\r\n\r\n";
    $text .= $body unless $head->{method} eq 'HEAD';
    return ($text, $head->{last});
}

sub hang_up {
    my ($socket) = @_;
    delete $connections{ fileno $socket };
    $select->remove($socket);
    close $socket;
}
