import Curl
import Testing

@Suite struct URLPartsTests {
    @Test func `a URL is taken apart`() throws {
        let url = try #require(URLParts("HTTPS://u:p@Example.COM:8443/a/b?c=%20d#e"))
        #expect(url.scheme == "https")
        #expect(url.host == "example.com")
        #expect(url.port == 8_443)
        #expect(url.hasUserInfo)
        #expect(url.query == "c=%20d")
        #expect(url.address == nil)
    }

    @Test func `what a URL leaves out is its scheme's or nothing`() throws {
        let url = try #require(URLParts("http://example.com"))
        #expect(url.port == 80)
        #expect(!url.hasUserInfo)
        #expect(url.query == nil)
        #expect(URLParts("https://example.com/")?.port == 443)
        #expect(URLParts("https://user@example.com/")?.hasUserInfo == true)
    }

    @Test(arguments: [
        "127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7F000001", "2130706433", "017700000001",
        "0177.0.0.1", "127.0.0.01", "%31%32%37.0.0.1", "0x7f.0x0.0x0.0x1", "127.0.0.1.", "0x7f.1.",
    ])
    func `an IPv4 address is known in every spelling`(host: String) throws {
        let url = try #require(URLParts("http://\(host):8080/"))
        #expect(url.address == IPAddress("127.0.0.1"))
        #expect(url.host == "127.0.0.1")
    }

    @Test(arguments: [
        ("[::1]", "::1"), ("[0:0:0:0:0:0:0:1]", "::1"), ("[::FFFF:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
    ])
    func `an IPv6 address has no brackets and one spelling`(host: String, address: String) throws {
        let url = try #require(URLParts("http://\(host)/"))
        #expect(url.host == address)
        #expect(url.address == IPAddress(address))
    }

    @Test(arguments: [
        "", "example.com", "/path", "ftp://example.com/", "file:///etc/passwd", "http://",
        "http:///", "http://exa mple.com/", "http://example.com/\r\nX: y", "http://example.com\0/",
        "http://example.com:99999/", "http://example.com:port/", "http://[::1/", "mailto:a@b.c",
        "javascript:alert(1)",
    ])
    func `what is no URL of HTTP with a host is none`(url: String) {
        #expect(URLParts(url) == nil)
    }
}
