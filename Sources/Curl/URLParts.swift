import CCurl

/// An `http` or `https` URL taken apart by the parser that also sends requests to it, so that
/// both see the same host.
package struct URLParts: Equatable, Sendable {
    /// `http` or `https`.
    package let scheme: String
    /// The host in lower case, without brackets; an IPv4 address in whatever spelling, such as
    /// `0x7f.1`, in the usual one.
    package let host: String
    /// The port, which is the scheme's own where the URL has none.
    package let port: Int
    /// Whether the URL has a user name or password.
    package let hasUserInfo: Bool
    /// What follows the question mark, as it is spelled.
    package let query: String?
    /// The address, if the host is one.
    package let address: IPAddress?

    /// Takes a URL apart; nil for what is no `http` or `https` URL with a host.
    package init?(_ url: String) {
        guard !url.utf8.contains(0), let parser = URLParser(url),
            let scheme = parser.part(CURLUPART_SCHEME), ["http", "https"].contains(scheme),
            let host = parser.part(CURLUPART_HOST), !host.isEmpty,
            let port = parser.part(CURLUPART_PORT).flatMap({ Int($0) })
        else { return nil }
        self.scheme = scheme
        self.port = port
        hasUserInfo =
            parser.part(CURLUPART_USER) != nil || parser.part(CURLUPART_PASSWORD) != nil
        query = parser.part(CURLUPART_QUERY)
        let name = Self.withoutBracketsOrDot(host)
        address = IPAddress(name) ?? IPAddress(numbers: name)
        self.host = address?.description ?? name.lowercased()
    }

    /// The host without the brackets of an IPv6 address, and without the dot that a whole name may
    /// end with.
    private static func withoutBracketsOrDot(_ host: String) -> String {
        if host.hasPrefix("[") {
            return String(host.dropFirst().dropLast())
        }
        return host.hasSuffix(".") ? String(host.dropLast()) : host
    }

    /// Host and port as they stand in a URL.
    var place: String {
        if case .v6? = address {
            return "[\(host)]:\(port)"
        }
        return "\(host):\(port)"
    }
}

/// Owns libcurl's parsed form of one URL.
private final class URLParser {
    private let handle: OpaquePointer

    init?(_ url: String) {
        guard let handle = curl_url() else { fatalError("out of memory") }
        self.handle = handle
        guard curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK else { return nil }
    }

    deinit {
        curl_url_cleanup(handle)
    }

    func part(_ part: CURLUPart) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, UInt32(CURLU_DEFAULT_PORT)) == CURLUE_OK,
            let text
        else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}
