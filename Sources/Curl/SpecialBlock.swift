/// A block of addresses that are not public, from the IANA registries of special-purpose
/// addresses.
struct SpecialBlock: Sendable, Equatable {
    let network: Network
    /// What an address of the block is, with its article and the document that says so.
    let name: String

    /// The first block that has the address; nil if the address is public.
    static func first(with address: IPAddress) -> SpecialBlock? {
        let blocks =
            switch address {
            case .v4: v4
            case .v6: v6
            }
        return blocks.first { $0.network.contains(address) }
    }

    private init(_ network: String, _ name: String) {
        guard let network = Network(network) else { fatalError("\(network) is no network") }
        self.network = network
        self.name = name
    }

    private static let v4 = [
        SpecialBlock("0.0.0.0/8", "an address of “this network” (RFC 791)"),
        SpecialBlock("10.0.0.0/8", "a private address (RFC 1918)"),
        SpecialBlock("100.64.0.0/10", "a shared address of carriers (RFC 6598)"),
        SpecialBlock("127.0.0.0/8", "a loopback address (RFC 1122)"),
        SpecialBlock("169.254.0.0/16", "a link-local address (RFC 3927)"),
        SpecialBlock("172.16.0.0/12", "a private address (RFC 1918)"),
        SpecialBlock("192.0.0.0/24", "an address for protocols (RFC 6890)"),
        SpecialBlock("192.0.2.0/24", "an address for documentation (RFC 5737)"),
        SpecialBlock("192.88.99.0/24", "a 6to4 relay address (RFC 7526)"),
        SpecialBlock("192.168.0.0/16", "a private address (RFC 1918)"),
        SpecialBlock("198.18.0.0/15", "an address for benchmarks (RFC 2544)"),
        SpecialBlock("198.51.100.0/24", "an address for documentation (RFC 5737)"),
        SpecialBlock("203.0.113.0/24", "an address for documentation (RFC 5737)"),
        SpecialBlock("224.0.0.0/4", "a multicast address (RFC 5771)"),
        SpecialBlock("255.255.255.255", "the broadcast address (RFC 919)"),
        SpecialBlock("240.0.0.0/4", "a reserved address (RFC 1112)"),
    ]

    /// Narrower blocks come before those they are part of.
    private static let v6 = [
        SpecialBlock("::", "the unspecified address (RFC 4291)"),
        SpecialBlock("::1", "the loopback address (RFC 4291)"),
        SpecialBlock("64:ff9b:1::/48", "a local NAT64 address (RFC 8215)"),
        SpecialBlock("100::/64", "a discard-only address (RFC 6666)"),
        SpecialBlock("fe80::/10", "a link-local address (RFC 4291)"),
        SpecialBlock("fec0::/10", "a site-local address (RFC 3879)"),
        SpecialBlock("fc00::/7", "a private address (RFC 4193)"),
        SpecialBlock("ff00::/8", "a multicast address (RFC 4291)"),
        SpecialBlock("2001::/32", "a Teredo address (RFC 4380)"),
        SpecialBlock("2001::/23", "an address for protocols (RFC 2928)"),
        SpecialBlock("2001:db8::/32", "an address for documentation (RFC 3849)"),
        SpecialBlock("3fff::/20", "an address for documentation (RFC 9637)"),
        // Global unicast addresses all begin with the bits 001; the rest is not handed out.
        SpecialBlock("::/3", "a reserved address (RFC 4291)"),
        SpecialBlock("4000::/2", "a reserved address (RFC 4291)"),
        SpecialBlock("8000::/1", "a reserved address (RFC 4291)"),
    ]
}
