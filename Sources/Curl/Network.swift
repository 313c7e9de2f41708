/// A block of addresses that begin with the same bits.
package struct Network: Hashable, Sendable {
    /// The first address of the block.
    package let base: IPAddress
    /// How many leading bits all its addresses share.
    package let prefixLength: Int

    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address.
    ///
    /// Bits after the prefix must be zero: `10.1.2.3/8` is more likely a slip than a wish.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let base = IPAddress(String(parts[0])) else { return nil }
        var length = base.bitCount
        if parts.count == 2 {
            guard let given = Self.decimal(parts[1]), given <= length else { return nil }
            length = given
        }
        self.base = base
        prefixLength = length
        guard base.isZero(after: length) else { return nil }
    }

    /// Whether the address is in the block; an IPv4 block also has the IPv4-mapped form of its
    /// addresses.
    package func contains(_ address: IPAddress) -> Bool {
        switch (base, address) {
        case (.v4(let base), .v4(let bits)):
            (base ^ bits) >> (32 - prefixLength) == 0
        case (.v6(let base), .v6(let bits)):
            (base ^ bits) >> (128 - prefixLength) == 0
        case (.v4, .v6):
            address.mappedV4.map { contains(.v4($0)) } ?? false
        case (.v6, .v4):
            false
        }
    }

    private static func decimal(_ text: Substring) -> Int? {
        let isDecimal = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }
        let isCanonical = text == "0" || !text.hasPrefix("0")
        return isDecimal && isCanonical ? Int(text) : nil
    }
}

extension Network: CustomStringConvertible {
    /// The block in the form that `init` reads.
    package var description: String {
        prefixLength == base.bitCount ? base.description : "\(base)/\(prefixLength)"
    }
}

extension IPAddress {
    fileprivate var bitCount: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    fileprivate func isZero(after length: Int) -> Bool {
        switch self {
        case .v4(let bits): bits << length == 0
        case .v6(let bits): bits << length == 0
        }
    }
}
