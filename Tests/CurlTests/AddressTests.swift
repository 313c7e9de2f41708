import Curl
import Testing

@Suite struct AddressTests {
    @Test(arguments: [
        "", "127.1", "127.0.0.01", "0x7f.0.0.1", "2130706433", "127.0.0.1 ", "127.0.0.1\0",
        "256.0.0.1", "[::1]", "::1%lo", "1::2::3", "example.com",
    ])
    func `a text that is no usual address is none`(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(arguments: ["127.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::a:0:0:1"])
    func `an address is written as it is read`(text: String) {
        #expect(IPAddress(text)?.description == text)
    }

    @Test(arguments: [
        "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/", "10.1.2.3/8",
        "10.0.0.0/8/8", "fd00::/129", "fd00::1/8", "/8", "",
    ])
    func `a text that is no block of addresses is none`(text: String) {
        #expect(Network(text) == nil)
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true), ("10.0.0.0/8", "::ffff:11.1.2.3", false),
        ("10.0.0.0/8", "::10.1.2.3", false), ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.4", false), ("0.0.0.0/0", "1.2.3.4", true),
        ("0.0.0.0/0", "::1", false),
        ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe00::1", false), ("::/0", "::1", true),
        ("::/0", "1.2.3.4", false), ("::1", "::1", true), ("::1", "::2", false),
    ])
    func `a block has the addresses that begin like it`(
        block: String, address: String, isContained: Bool
    ) throws {
        let network = try #require(Network(block))
        #expect(try network.contains(#require(IPAddress(address))) == isContained)
        #expect(network.description == block)
    }

    @Test(arguments: [
        "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
        "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0",
        "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0", "192.167.255.255",
        "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255", "198.51.101.0",
        "203.0.112.255", "203.0.114.0", "223.255.255.255", "2606:4700::1111", "2001:200::",
        "2001:db7:ffff::", "2001:db9::", "3ffe::", "3fff:1000::", "::ffff:8.8.8.8", "::8.8.8.8",
        "64:ff9b::8.8.8.8", "2002:808:808::1",
    ])
    func `a public address is permitted`(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(AddressRules().permits(address))
        #expect(AddressRules().reasonAgainst(address) == nil)
        #expect(!AddressRules(requiresAllowed: true).permits(address))
    }

    @Test(arguments: [
        "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
        "127.0.0.0", "127.255.255.255", "169.254.169.254", "172.16.0.0", "172.31.255.255",
        "192.0.0.0", "192.0.0.255", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255",
        "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.0",
        "239.255.255.255", "240.0.0.0", "255.255.255.255", "::", "::1", "fe80::1", "febf::1",
        "fec0::1", "feff::1", "fc00::1", "fdff::1", "ff02::1", "2001:db8::1", "3fff::1",
        "3fff:fff:ffff::", "100::1", "2001::1", "2001:0:808:808::1", "2001:1ff::", "5f00::1",
        "64:ff9b:1::8.8.8.8", "::ffff:0:8.8.8.8", "::2", "4000::", "8000::", "e000::",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.1.2.3",
        "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "2002:7f00:1::",
    ])
    func `an address that is not public is refused unless its network is allowed`(
        text: String
    ) throws {
        let address = try #require(IPAddress(text))
        #expect(!AddressRules().permits(address))
        #expect(AddressRules().reasonAgainst(address)?.hasPrefix("\(address) ") == true)
        let allowed = try [#require(Network(text))]
        for requiresAllowed in [false, true] {
            let rules = AddressRules(allowed: allowed, requiresAllowed: requiresAllowed)
            #expect(rules.permits(address))
            #expect(rules.reasonAgainst(address) == nil)
        }
    }

    @Test(arguments: [
        ("10.1.2.3", "10.1.2.3 is a private address (RFC 1918)"),
        ("255.255.255.255", "255.255.255.255 is the broadcast address (RFC 919)"),
        ("fe80::1", "fe80::1 is a link-local address (RFC 4291)"),
        (
            "64:ff9b::a01:203",
            "64:ff9b::a01:203 leads to an IPv4 address: 10.1.2.3 is a private address (RFC 1918)"
        ),
    ])
    func `the reason against an address says what it is`(text: String, reason: String) throws {
        #expect(try AddressRules().reasonAgainst(#require(IPAddress(text))) == reason)
    }

    @Test func `an IPv4 network that is allowed is so in its embedded forms`() throws {
        let rules = try AddressRules(
            allowed: [#require(Network("10.0.0.0/8"))], requiresAllowed: true)
        for text in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"] {
            #expect(try rules.permits(#require(IPAddress(text))))
        }
        let address = try #require(IPAddress("8.8.8.8"))
        #expect(rules.reasonAgainst(address) == "8.8.8.8 is in none of the allowed networks")
    }

    @Test func `a host's addresses are found, and an unknown host is an error`() throws {
        #expect(try Resolver.addresses(of: "127.0.0.1", port: 80) == [.v4(0x7f00_0001)])
        let local = try Resolver.addresses(of: "localhost", port: 80)
        #expect(!local.isEmpty && Set(local).count == local.count)
        let error = #expect(throws: CurlError.self) {
            try Resolver.addresses(of: "nowhere.invalid", port: 80)
        }
        #expect(error?.kind == .couldNotResolve)
    }
}
