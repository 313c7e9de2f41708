import Glibc

/// An IPv4 or IPv6 address, without port and zone.
package enum IPAddress: Hashable, Sendable {
    /// An IPv4 address, its first byte the most significant.
    case v4(UInt32)
    /// An IPv6 address, its first byte the most significant.
    case v6(UInt128)

    /// Reads four decimal numbers with dots between them, or an IPv6 address without brackets.
    ///
    /// Other spellings that some systems take, such as `127.1` or `0x7f.0.0.1`, give nil.
    package init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        let address = text.withCString { Self(text: $0) }
        guard let address else { return nil }
        self = address
    }

    /// Reads the same out of a C string.
    init?(text: UnsafePointer<CChar>) {
        var v4 = UInt32(0)
        var v6 = UInt128(0)
        if inet_pton(AF_INET, text, &v4) == 1 {
            self = .v4(UInt32(bigEndian: v4))
        } else if inet_pton(AF_INET6, text, &v6) == 1 {
            self = .v6(UInt128(bigEndian: v6))
        } else {
            return nil
        }
    }

    /// Reads an IPv4 address in any of the spellings that systems connect to, such as `0x7f.1`,
    /// `2130706433` and `017700000001`.
    init?(numbers: String) {
        var address = in_addr()
        guard !numbers.utf8.contains(0), inet_aton(numbers, &address) != 0 else { return nil }
        self = .v4(UInt32(bigEndian: address.s_addr))
    }

    /// Reads the address of a socket; nil if its family is neither of the two.
    package init?(_ address: UnsafePointer<sockaddr>) {
        let start = UnsafeRawPointer(address)
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            let v4 = start.loadUnaligned(
                fromByteOffset: MemoryLayout<sockaddr_in>.offset(of: \.sin_addr) ?? 0,
                as: UInt32.self)
            self = .v4(UInt32(bigEndian: v4))
        case AF_INET6:
            let v6 = start.loadUnaligned(
                fromByteOffset: MemoryLayout<sockaddr_in6>.offset(of: \.sin6_addr) ?? 0,
                as: UInt128.self)
            self = .v6(UInt128(bigEndian: v6))
        default:
            return nil
        }
    }

    /// The IPv4 address that an address of the form `::ffff:a.b.c.d` stands for.
    var mappedV4: UInt32? {
        guard case .v6(let bits) = self, bits >> 32 == 0xffff else { return nil }
        return UInt32(truncatingIfNeeded: bits)
    }
}

extension IPAddress: CustomStringConvertible {
    /// The address as RFC 5952 writes it.
    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        switch self {
        case .v4(let bits):
            var bytes = bits.bigEndian
            inet_ntop(AF_INET, &bytes, &text, socklen_t(text.count))
        case .v6(let bits):
            var bytes = bits.bigEndian
            inet_ntop(AF_INET6, &bytes, &text, socklen_t(text.count))
        }
        return text.withUnsafeBufferPointer { text in
            text.baseAddress.map { String(cString: $0) } ?? ""
        }
    }
}
