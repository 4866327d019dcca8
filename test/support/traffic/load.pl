#!/usr/bin/perl
# A client that loads many frontends at once. One process, perl-base only.
#   load.pl [--rate N] [--held N] [--timeout S] (tcp|udp|sctp),ADDRESS,PORT...
# begins N new connections (or sockets of UDP) a second, to one frontend after the other, each when it is due whatever became of others, and keeps N
# connections to each frontend, on each of which it asks once a second. Prints "begun" when all kept connections have answered
# and every frontend has answered a new one, and at SIGTERM, after the answers to all that it has asked, a summary:
#   {"count": n, "kept": n, "resent": n, "failures": ["12.3s tcp,10.0.0.1,80 new timeout"],
#    "clients": {"tcp,10.0.0.1,80": {ADDRESS as the pods saw it: n}}}
# "count" are the answered new connections, "kept" the answers on kept ones, "resent" the first packets of connections that this
# network namespace has sent again since "begun". Each frontend has source ports of its own: IPVS mixes up two connections from one
# port to one pod.
use strict;
use warnings;
use Errno qw(EINPROGRESS EAGAIN EINTR);
use POSIX ();
use Socket qw(:DEFAULT SOCK_NONBLOCK inet_pton pack_sockaddr_in6 IN6ADDR_ANY);

$| = 1;
$SIG{PIPE} = 'IGNORE';
my %options = (rate => 20, held => 1, timeout => 5);
while (@ARGV && $ARGV[0] =~ /^--(\w+)$/) { $options{$1} = $ARGV[1]; splice @ARGV, 0, 2 }
my @targets = @ARGV or die "usage: load.pl [--rate N] [--held N] [--timeout S] (tcp|udp|sctp),ADDRESS,PORT...\n";
my ($stopped, $begun, $resent) = (0, now(), 0);
$SIG{TERM} = sub { $stopped = 1 };
my %summary = (count => 0, kept => 0, failures => [], clients => { map { $_ => {} } @targets });
my %open;    # by file number: socket, target, kind "new" or "kept", asked: when, undef if it rests, until: when to ask again
my ($first_port, $ports) = (33_000, int(27_000 / @targets));
my %last_port = map { $targets[$_] => $first_port + $_ * $ports } 0 .. $#targets;
my %waiting = map { ("$_ new" => 1, "$_ kept" => $options{held}) } @targets;

for my $target (@targets) { begin($target, 'kept') for 1 .. $options{held} }
my ($due, $next, $is_begun) = (now(), 0, 0);
until ($stopped && !grep { $_->{kind} eq 'new' || defined $_->{asked} } values %open) {
    # Else all the time of a machine that is too slow would go into these.
    $due = now() - 1 if $due < now() - 1;
    while (!$stopped && now() >= $due) {
        $due += 1 / $options{rate};
        begin($targets[ $next++ % @targets ], 'new');
    }
    my ($readable, $writable) = news();
    for my $number (keys %open) {
        my $one = $open{$number};
        if    (vec $readable, $number, 1) { receive($number, $one) }
        elsif (vec $writable, $number, 1) { ask($number, $one) }
        elsif (defined $one->{asked}) { fail($number, $one, 'timeout') if now() > $one->{asked} + $options{timeout} }
        elsif (!$stopped && $one->{kind} eq 'kept' && now() >= $one->{until}) { $one->{asked} = now(); ask($number, $one) }
    }
    next if $is_begun || grep { $_ > 0 } values %waiting;
    ($is_begun, $resent) = (1, syn_resent());
    print "begun\n";
}
$summary{resent} = syn_resent() - $resent;
print json(\%summary), "\n";

sub begin {
    my ($target, $kind) = @_;
    my ($protocol, $address, $port) = split /,/, $target;
    my $is6   = $address =~ /:/;
    my $bytes = inet_pton($is6 ? AF_INET6 : AF_INET, $address) or die "load.pl: \"$address\" is no address\n";
    my $to    = $is6 ? pack_sockaddr_in6($port, $bytes) : pack_sockaddr_in($port, $bytes);
    my $type  = $protocol eq 'udp' ? SOCK_DGRAM : SOCK_STREAM;
    socket(my $socket, $is6 ? AF_INET6 : AF_INET, $type | SOCK_NONBLOCK, $protocol eq 'sctp' ? 132 : 0) or die "load.pl: socket: $!\n";
    my $from = ++$last_port{$target};
    # Another client of this namespace may have had the port.
    setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
    bind($socket, $is6 ? pack_sockaddr_in6($from, IN6ADDR_ANY) : pack_sockaddr_in($from, INADDR_ANY)) or die "load.pl: port $from: $!\n";
    my $one = { socket => $socket, target => $target, kind => $kind, asked => now(), text => '', connecting => 1 };
    $open{ fileno $socket } = $one;
    connect($socket, $to) || $! == EINPROGRESS or fail(fileno $socket, $one, "$!");
}

sub ask {
    my ($number, $one) = @_;
    if ($one->{connecting}) {
        $! = unpack 'i', getsockopt($one->{socket}, SOL_SOCKET, SO_ERROR);
        return fail($number, $one, "$!") if $!;
        $one->{connecting} = 0;
    }
    defined syswrite($one->{socket}, "who\n") or return fail($number, $one, "$!");
}

sub receive {
    my ($number, $one) = @_;
    my $count = sysread $one->{socket}, $one->{text}, 4_096, length $one->{text};
    return if !defined $count && $! == EAGAIN;
    return fail($number, $one, defined $count ? 'closed' : "$!") unless $count;
    return unless $one->{text} =~ /^(.*)\n/;
    my (undef, $client) = split ' ', $1;
    $summary{clients}{ $one->{target} }{$client}++;
    $waiting{"$one->{target} $one->{kind}"}-- unless $one->{answered}++;
    if ($one->{kind} eq 'new') { $summary{count}++; delete $open{$number}; return }
    $summary{kept}++;
    @$one{qw(asked text until)} = (undef, '', now() + 1);
}

sub fail {
    my ($number, $one, $why) = @_;
    delete $open{$number};
    $waiting{"$one->{target} $one->{kind}"}-- unless $one->{answered}++;
    push @{ $summary{failures} }, sprintf '%.1fs %s %s %s', now() - $begun, $one->{target}, $one->{kind}, $why if @{ $summary{failures} } < 50;
}

# What can be read, and what has connected; waits for 50 ms at most.
sub news {
    my ($readable, $writable) = ('', '');
    for my $number (keys %open) {
        vec($readable, $number, 1) = 1;
        vec($writable, $number, 1) = 1 if $open{$number}{connecting};
    }
    my $left = $due - now();
    my $found = select $readable, $writable, undef, $stopped || $left > 0.05 ? 0.05 : $left > 0 ? $left : 0;
    return $found > 0 ? ($readable, $writable) : ('', '');
}

# Seconds since some moment, to 10 ms: Time::HiRes is not in perl-base.
sub now { return (POSIX::times())[0] / 100 }

sub syn_resent {
    open my $file, '<', '/proc/net/netstat' or die "load.pl: /proc/net/netstat: $!\n";
    my ($names, $values) = grep { /^TcpExt:/ } <$file>;
    my %counters;
    @counters{ split ' ', $names } = split ' ', $values;
    return $counters{TCPSynRetrans};
}

sub json {
    my ($value) = @_;
    return '{' . join(',', map { "\"$_\":" . json($value->{$_}) } sort keys %$value) . '}' if ref $value eq 'HASH';
    return '[' . join(',', map { json($_) } @$value) . ']' if ref $value;
    return $value =~ /^\d+$/ ? $value : "\"$value\"";
}
