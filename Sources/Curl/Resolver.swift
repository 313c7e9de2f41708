import Glibc

/// Looks up the addresses of hosts as the system does.
package enum Resolver {
    /// The addresses of a host, each once, in the system's order of preference.
    ///
    /// It blocks for as long as the system's resolver takes.
    package static func addresses(
        of host: String, port: Int
    ) throws(CurlError) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_protocol = Int32(IPPROTO_TCP)
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, String(port), &hints, &first)
        guard code == 0 else {
            throw CurlError(
                kind: .couldNotResolve,
                description: "could not find \(host): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(first) }
        var addresses: [IPAddress] = []
        for entry in sequence(first: first, next: { $0?.pointee.ai_next }) {
            guard let socketAddress = entry?.pointee.ai_addr,
                let address = IPAddress(socketAddress), !addresses.contains(address)
            else { continue }
            addresses.append(address)
        }
        return addresses
    }
}
