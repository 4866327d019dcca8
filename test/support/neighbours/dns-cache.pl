#!/usr/bin/perl
# A DNS cache without a cache: asks its upstream over TCP for each request, as node-local-dns asks the cluster's DNS.
#   dns-cache.pl ADDRESS UPSTREAM
# Both on port 53, over UDP and TCP at ADDRESS. It speaks as pod-server.pl: a request that the upstream NAME answers gets "cached-NAME CLIENT",
# with CLIENT as it arrived here; a request that the upstream does not answer gets nothing. Prints "ready". Needs perl-base only.
use strict;
use warnings;
use IO::Select;
use IO::Socket::IP;

my ($address, $upstream) = @ARGV;
die "usage: dns-cache.pl ADDRESS UPSTREAM\n" unless defined $upstream;
$| = 1;
$SIG{PIPE} = 'IGNORE';

my %own = (LocalAddr => $address, LocalPort => 53, ReuseAddr => 1);
my $udp = IO::Socket::IP->new(%own, Proto => 'udp') or die "dns-cache.pl: udp $address: $@\n";
my $tcp = IO::Socket::IP->new(%own, Proto => 'tcp', Listen => 64) or die "dns-cache.pl: tcp $address: $@\n";
print "ready\n";

my $select = IO::Select->new($udp, $tcp);
while (1) {
    for my $socket ($select->can_read) {
        if ($socket == $udp) {
            my $from = $udp->recv(my $request, 65_536) // next;
            my $answer = answer_for($udp->peerhost);
            $udp->send($answer, 0, $from) if defined $answer;
        }
        else {
            my $client = $tcp->accept or next;
            my $request = <$client>;
            my $answer = answer_for($client->peerhost);
            print $client $answer if defined $answer;
            close $client;
        }
    }
}

sub answer_for {
    my ($client) = @_;
    my $connection = IO::Socket::IP->new(PeerAddr => $upstream, PeerPort => 53, Proto => 'tcp', Timeout => 1) or return;
    print $connection "who\n";
    my ($name) = (<$connection> // '') =~ /^(\S+)/ or return;
    return "cached-$name $client\n";
}
