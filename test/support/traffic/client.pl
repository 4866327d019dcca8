#!/usr/bin/perl
# A client of pod-server.pl, and of anything that speaks HTTP. Many requests, one process. Needs perl-base only.
#   client.pl tcp|udp|sctp ADDRESS PORT COUNT [--timeout S] [--bytes N] [--from PORT]   a new connection, or source port unless
#                                                          one is given, for each, asking with N bytes for as many; prints a summary
#   client.pl ping ADDRESS [--timeout S]                   one ICMP echo request; prints a summary
#   client.pl leak ADDRESS PORT [--timeout S]              one request over a connection that the server then closes and this
#                                                          client keeps for as long as it runs; prints a summary
#   client.pl segment FROM PORT TO PORT NEXT EXPECTED      sends a TCP segment with these numbers past all sockets; prints {}
#   client.pl get ADDRESS PORT PATH [--timeout S]          one HTTP request; prints {"status": ..., "body": ...}
#   client.pl hold ADDRESS PORT [--timeout S]              one connection, a request every 50 ms, until SIGTERM
#   client.pl loop ADDRESS PORT [--rate N] [--age S] [--timeout S]   N new connections a second, until SIGTERM, each begun
#                                                          when it is due whatever became of others, and asked at that age
#   client.pl                                              such commands from stdin, one a line, one line of JSON each; besides:
#     open ADDRESS PORT [--timeout S]                      one request over a connection that is kept; prints a summary with its
#                                                          {"connection": {"port", "next", "expected"}}
#     again [--timeout S]                                  another request over it; prints a summary
# hold and loop print "begun" after their first answer, and at SIGTERM a summary:
#   {"count": n, "answers": {POD: n}, "clients": {ADDRESS: n}, "errors": {"refused" | "timeout" | ...: n},
#    "failures": ["12.3s refused"], "slowest": SECONDS}
# loop also "seconds": from the start to SIGTERM, and "resent": how many first packets of connections were sent again here.
use strict;
use warnings;
use Errno qw(ECONNREFUSED ECONNRESET EINPROGRESS EHOSTUNREACH ENETUNREACH EAGAIN EINTR);
use IO::Handle;
use POSIX ();
use Socket qw(:DEFAULT SOCK_NONBLOCK IPPROTO_IPV6 IPPROTO_TCP inet_pton pack_sockaddr_in6 unpack_sockaddr_in6 IN6ADDR_ANY);

$| = 1;
$SIG{PIPE} = 'IGNORE';
my $stopped = 0;
my $begun   = now();
my @leaked;
my $kept;                 # the connection of "open"

if (@ARGV) {
    $SIG{TERM} = sub { $stopped = 1 };
    print carry_out(@ARGV), "\n";
}
else {
    while (my $line = <STDIN>) { print carry_out(split ' ', $line), "\n" }
}

sub carry_out {
    my @words = @_;
    my %options = (timeout => 2, rate => 20, age => 0, bytes => 4, from => 0);
    for my $name (keys %options) {
        for (my $i = 0; $i < @words; $i++) {
            next unless $words[$i] eq "--$name";
            $options{$name} = $words[ $i + 1 ];
            splice @words, $i, 2;
        }
    }
    my ($command, @rest) = @words;
    my %commands = (tcp => \&requests, udp => \&requests, sctp => \&requests, ping => \&ping, leak => \&leak, open => \&open_one, again => \&again, segment => \&segment, get => \&get, hold => \&hold, loop => \&loop_);
    my $run = $commands{ $command // '' } or die "client.pl: unknown command \"" . ($command // '') . "\"\n";
    return $run->(\%options, $command, @rest);
}

sub requests {
    my ($options, $protocol, $address, $port, $count) = @_;
    my $summary = summary();
    my @how = @$options{qw(timeout bytes from)};
    note($summary, now(), ask_once($protocol, $address, $port, @how)) for 1 .. $count;
    return json($summary);
}

# One ping; who answers is the pod.
sub ping {
    my ($options, undef, $address) = @_;
    my $summary = summary();
    note($summary, now(), echo($address, $options->{timeout}));
    return json($summary);
}

sub echo {
    my ($address, $timeout) = @_;
    my $is6   = $address =~ /:/;
    my $bytes = inet_pton($is6 ? AF_INET6 : AF_INET, $address) or return (undef, 'address');
    my $to    = $is6 ? pack_sockaddr_in6(0, $bytes) : pack_sockaddr_in(0, $bytes);
    socket(my $socket, $is6 ? AF_INET6 : AF_INET, SOCK_RAW, $is6 ? 58 : 1) or return (undef, word($!));
    my ($request, $reply) = $is6 ? (128, 129) : (8, 0);
    my $id = $$ & 0xffff;
    # The kernel sums up ICMPv6 itself. Here code, sequence and data are 0.
    my $sum = $request * 256 + $id;
    $sum = ($sum & 0xffff) + ($sum >> 16);
    send($socket, pack('CCnnn', $request, 0, ~$sum & 0xffff, $id, 0), 0, $to) or return (undef, word($!));
    my $until = now() + $timeout;
    while (ready($socket, 0, $until)) {
        defined recv($socket, my $packet, 2048, 0) or return (undef, word($!));
        my $at = $is6 ? 0 : (ord($packet) & 0xf) * 4;
        my ($type, undef, undef, $whose) = unpack 'CCnn', substr $packet, $at;
        return "pong $address" if $type == $reply && $whose == $id;
    }
    return (undef, 'timeout');
}

sub loop_ {
    my ($options, undef, $address, $port) = @_;
    my ($summary, $first, $resent) = (summary(), now(), syn_resent());
    my $due = $first;
    my %open;    # by file number: socket, when it was begun, whether it was asked, what it has answered
    do {
        # Else all the time of a machine that is too slow would go into these.
        $due = now() - 1 if $due < now() - 1;
        until ($stopped || now() < $due) {
            $due += 1 / $options->{rate};
            my ($socket, $error) = call('tcp', $address, $port);
            if   ($error) { note($summary, now(), undef, $error) }
            else          { $open{ fileno $socket } = { socket => $socket, begun => now(), asked => 0, text => '' } }
        }
        $summary->{seconds} //= sprintf '%.2f', now() - $first if $stopped;
        my $news = any_news(\%open, $stopped ? 0.05 : $due - now());
        for my $number (keys %open) {
            my $one = $open{$number};
            my ($answer, $error) = step($one, vec($news, $number, 1), $options);
            next unless defined $answer || $error;
            delete $open{$number};
            note($summary, $one->{begun}, $answer, $error);
            print "begun\n" if $summary->{count} == 1;
        }
    } until $summary->{seconds} && !%open;
    $summary->{resent} = syn_resent() - $resent;
    return json($summary);
}

# How many first packets of connections this network namespace has sent again, as no answer came within a second.
sub syn_resent {
    open my $file, '<', '/proc/net/netstat' or die "client.pl: /proc/net/netstat: $!\n";
    my ($names, $values) = grep { /^TcpExt:/ } <$file>;
    my %counters;
    @counters{ split ' ', $names } = split ' ', $values;
    return $counters{TCPSynRetrans};
}

# Waits so many seconds at most for one of the connections to say something, or to fail; their bits by file number.
sub any_news {
    my ($open, $seconds) = @_;
    my $news = '';
    vec($news, $_, 1) = 1 for keys %$open;
    my $found = select $news, undef, undef, $seconds > 0 ? $seconds : 0;
    return $found > 0 ? $news : '';
}

# Takes a connection of the loop one step on; its answer, or undef and a word for why there will be none, or nothing yet.
sub step {
    my ($one, $has_news, $options) = @_;
    my $age = now() - $one->{begun};
    if ($has_news) {
        my $count = sysread $one->{socket}, $one->{text}, 4_096, length $one->{text};
        return (undef, word($!)) unless defined $count || $! == EAGAIN;
        return (undef, 'closed') if defined $count && !$count;
        return $1 if $one->{text} =~ /^(.*)\n/;
    }
    # Not while it is being connected.
    $one->{asked} = 1 if !$one->{asked} && $age >= $options->{age} && defined syswrite $one->{socket}, "who\n";
    return $age > $options->{age} + $options->{timeout} ? (undef, 'timeout') : ();
}

sub hold {
    my ($options, undef, $address, $port) = @_;
    my $summary = summary();
    # From a port that no other connection here gets by chance: IPVS mixes up two connections from one port to one pod. It is
    # below those that Linux gives out, and those of NodePorts.
    my ($socket, $error) = dial('tcp', $address, $port, $options->{timeout}, 10_000 + $$ % 20_000);
    note($summary, now(), undef, $error) if $error;
    until ($stopped || $error) {
        my $asked = now();
        (my $answer, $error) = exchange($socket, $options->{timeout});
        note($summary, $asked, $answer, $error);
        print "begun\n" if $summary->{count} == 1;
        rest(0.05) unless $error;
    }
    rest(0.05) until $stopped;
    return json($summary);
}

sub leak {
    my ($options, undef, $address, $port) = @_;
    my $summary = summary();
    my $asked   = now();
    my ($socket, $error) = dial('tcp', $address, $port, $options->{timeout});
    (my $answer, $error) = exchange($socket, $options->{timeout}) unless $error;
    note($summary, $asked, $answer, $error);
    return json($summary) if $error;
    syswrite $socket, "GET / HTTP/1.0\r\n\r\n";
    read_all($socket, $options->{timeout});
    push @leaked, $socket;
    return json($summary);
}

# A connection that is kept, one at a time.
sub open_one {
    my ($options, undef, $address, $port) = @_;
    my $summary = summary();
    my $asked   = now();
    (my $socket, my $error) = dial('tcp', $address, $port, $options->{timeout});
    die "client.pl: no connection to $address: $error\n" if $error;
    (my $answer, $error) = exchange($socket, $options->{timeout});
    note($summary, $asked, $answer, $error);
    $kept = $socket;
    return json({ %$summary, connection => connection($socket) });
}

sub again {
    my ($options) = @_;
    my $summary = summary();
    note($summary, now(), exchange($kept, $options->{timeout}));
    return json($summary);
}

# The port it comes from, what it sends next and what it expects next. The kernel tells in the mode for moving sockets between
# machines (TCP_REPAIR 19, TCP_REPAIR_QUEUE 20 with 2 for sent and 1 for received, TCP_QUEUE_SEQ 21; -1 ends it in silence).
sub connection {
    my ($socket) = @_;
    my $own = getsockname $socket;
    my ($port) = length $own > 16 ? unpack_sockaddr_in6($own) : unpack_sockaddr_in($own);
    my $is_told = setsockopt $socket, IPPROTO_TCP, 19, 1;
    my ($next, $expected) = map {
        $is_told &&= setsockopt $socket, IPPROTO_TCP, 20, $_;
        $is_told ? unpack 'I', getsockopt($socket, IPPROTO_TCP, 21) : 0;
    } 2, 1;
    $is_told &&= setsockopt $socket, IPPROTO_TCP, 19, -1;
    die "client.pl: no sequence numbers: $!\n" unless $is_told;
    return { port => $port, next => $next, expected => $expected };
}

# One TCP segment with an acknowledgement and no data, past all sockets. It leaves with an address of this host.
sub segment {
    my (undef, undef, $from, $from_port, $to, $to_port, $next, $expected) = @_;
    my $is6 = $to =~ /:/;
    my ($source, $destination) = map { inet_pton($is6 ? AF_INET6 : AF_INET, $_) } $from, $to;
    my ($offset, $ack, $window) = (5 << 4, 0x10, 65_535);
    my $segment = pack 'nnNNCCnnn', $from_port, $to_port, $next & 0xffff_ffff, $expected, $offset, $ack, $window, 0, 0;
    my $sum = IPPROTO_TCP + length $segment;
    $sum += $_ for unpack 'n*', $source . $destination . $segment;
    $sum = ($sum & 0xffff) + ($sum >> 16) while $sum > 0xffff;
    substr($segment, 16, 2) = pack 'n', ~$sum & 0xffff;
    socket(my $raw, $is6 ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_TCP) or die "client.pl: raw socket: $!\n";
    send $raw, $segment, 0, $is6 ? pack_sockaddr_in6(0, $destination) : pack_sockaddr_in(0, $destination) or die "client.pl: $!\n";
    # For whatever it is answered with.
    rest(0.2);
    return json({});
}

sub get {
    my ($options, undef, $address, $port, $path) = @_;
    my ($socket, $error) = dial('tcp', $address, $port, $options->{timeout});
    return json({ status => 0, body => $error }) if $error;
    my $host = $address =~ /:/ ? "[$address]" : $address;
    syswrite $socket, "GET $path HTTP/1.0\r\nHost: $host:$port\r\nConnection: close\r\n\r\n";
    my $text = read_all($socket, $options->{timeout});
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($status) = ($head // '') =~ m{^HTTP/1\.\d (\d+)};
    return json({ status => ($status // 0) + 0, body => $body // '' });
}

# All that the other side sends until it hangs up.
sub read_all {
    my ($socket, $timeout) = @_;
    my $text  = '';
    my $until = now() + $timeout;
    while (ready($socket, 0, $until)) {
        my $count = sysread $socket, $text, 65_536, length $text;
        last if defined $count ? !$count : !$!{EAGAIN};
    }
    return $text;
}

sub ask_once {
    my ($protocol, $address, $port, $timeout, $bytes, $from) = @_;
    my ($socket, $error) = dial($protocol, $address, $port, $timeout, $from);
    return (undef, $error) if $error;
    return exchange($socket, $timeout, $bytes);
}

# A connected socket, or undef and a word for why not.
sub dial {
    my ($protocol, $address, $port, $timeout, $from) = @_;
    my ($socket, $error) = call($protocol, $address, $port, $from);
    return (undef, $error) if $error;
    return (undef, 'timeout') unless ready($socket, 1, now() + $timeout);
    $! = unpack 'i', getsockopt($socket, SOL_SOCKET, SO_ERROR);
    return (undef, word($!)) if $!;
    # A connection outlives a moment without a route, unless it asks for errors.
    setsockopt($socket, IPPROTO_IPV6, 25, 0) if $protocol eq 'tcp' && $address =~ /:/;
    return $socket;
}

# A socket that is connected or about to be, or undef and a word for why not.
sub call {
    my ($protocol, $address, $port, $from) = @_;
    my $is6  = $address =~ /:/;
    my $bytes = inet_pton($is6 ? AF_INET6 : AF_INET, $address) or return (undef, 'address');
    my $to    = $is6 ? pack_sockaddr_in6($port, $bytes) : pack_sockaddr_in($port, $bytes);
    my $type  = $protocol eq 'udp' ? SOCK_DGRAM : SOCK_STREAM;
    socket(my $socket, $is6 ? AF_INET6 : AF_INET, $type | SOCK_NONBLOCK, $protocol eq 'sctp' ? 132 : 0) or return (undef, word($!));
    # With one CPU the refusal arrives while connect still holds the socket. IPv6 then keeps it for the next attempt, a
    # second later, unless the socket asks for errors (25 is IPV6_RECVERR).
    setsockopt($socket, IPPROTO_IPV6, 25, 1) if $is6;
    my $own = $is6 ? pack_sockaddr_in6($from // 0, IN6ADDR_ANY) : pack_sockaddr_in($from // 0, INADDR_ANY);
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) if $from && $protocol eq 'tcp';
    bind($socket, $own) or return (undef, word($!)) if $from;
    return $socket if connect($socket, $to) || $! == EINPROGRESS;
    return (undef, word($!));
}

# One line there and one back, at least as long: the answer, or undef and a word for why not.
sub exchange {
    my ($socket, $timeout, $bytes) = @_;
    $bytes //= 0;
    defined syswrite $socket, 'who' . '?' x ($bytes > 4 ? $bytes - 4 : 0) . "\n" or return (undef, word($!));
    my $text  = '';
    my $until = now() + $timeout;
    while ($text !~ /\n$/) {
        ready($socket, 0, $until) or return (undef, 'timeout');
        my $count = sysread $socket, $text, 65_536, length $text;
        next if !defined $count && $! == EAGAIN;
        return (undef, word($!)) unless defined $count;
        return (undef, 'closed') unless $count;
    }
    return (undef, 'short') if length $text < $bytes;
    chomp $text;
    return $text;
}

sub ready {
    my ($socket, $writing, $until) = @_;
    vec(my $bits = '', fileno $socket, 1) = 1;
    while (1) {
        my $left = $until - now();
        my $mine = $bits;
        my $found = select $writing ? undef : $mine, $writing ? $mine : undef, undef, $left > 0 ? $left : 0;
        return $found > 0 unless $found < 0 && $! == EINTR;
    }
}

# Seconds since some moment, to 10 ms: Time::HiRes is not in perl-base.
sub now { return (POSIX::times())[0] / 100 }

sub rest { select undef, undef, undef, $_[0] }

sub word {
    my ($errno) = @_;
    return 'refused' if $errno == ECONNREFUSED;
    return 'reset' if $errno == ECONNRESET;
    return 'unreachable' if $errno == EHOSTUNREACH || $errno == ENETUNREACH;
    return "$errno";
}

sub summary { return { count => 0, slowest => 0, answers => {}, clients => {}, errors => {}, failures => [] } }

sub note {
    my ($summary, $asked, $answer, $error) = @_;
    my $took = sprintf '%.2f', now() - $asked;
    $summary->{count}++;
    $summary->{slowest} = $took if $took > $summary->{slowest};
    if ($error) {
        $summary->{errors}{$error}++;
        push @{ $summary->{failures} }, sprintf '%.1fs %s', now() - $begun, $error if @{ $summary->{failures} } < 20;
        return;
    }
    my ($pod, $client) = split ' ', $answer;
    $summary->{answers}{$pod}++;
    $summary->{clients}{$client}++;
}

sub json {
    my ($value) = @_;
    return '{' . join(',', map { text($_) . ':' . json($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
    return '[' . join(',', map { json($_) } @$value) . ']' if ref $value;
    return $value =~ /^\d+(\.\d+)?$/ ? $value + 0 : text($value);
}

sub text {
    my ($text) = @_;
    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/([\x00-\x1f])/sprintf '\\u%04x', ord $1/ge;
    return "\"$text\"";
}
