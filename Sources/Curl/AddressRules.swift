/// Which addresses may be connected to: public ones, and those of networks allowed by name.
package struct AddressRules: Sendable, Equatable {
    /// Networks whose addresses are permitted whatever they are.
    package var allowed: [Network]
    /// Whether only addresses of allowed networks are permitted, and public ones no longer.
    package var requiresAllowed: Bool

    /// Makes rules; without arguments, those that permit every public address and no other.
    package init(allowed: [Network] = [], requiresAllowed: Bool = false) {
        self.allowed = allowed
        self.requiresAllowed = requiresAllowed
    }

    /// Whether the address may be connected to.
    package func permits(_ address: IPAddress) -> Bool {
        verdict(on: address) == .permitted
    }

    /// Why the address may not be connected to, for people to read; nil if it may.
    package func reasonAgainst(_ address: IPAddress) -> String? {
        switch verdict(on: address) {
        case .permitted:
            nil
        case .notAllowed:
            "\(address) is in none of the allowed networks"
        case .special(let block):
            "\(address) is \(block.name)"
        case .embedded(let v4):
            reasonAgainst(v4).map { "\(address) leads to an IPv4 address: \($0)" }
        }
    }

    private enum Verdict: Equatable {
        case permitted
        case notAllowed
        case special(SpecialBlock)
        /// The address embeds this one, which is not permitted.
        case embedded(IPAddress)
    }

    private func verdict(on address: IPAddress) -> Verdict {
        if allowed.contains(where: { $0.contains(address) }) {
            return .permitted
        }
        if let v4 = address.embeddedV4 {
            return permits(.v4(v4)) ? .permitted : .embedded(.v4(v4))
        }
        if requiresAllowed {
            return .notAllowed
        }
        return SpecialBlock.first(with: address).map { .special($0) } ?? .permitted
    }
}

extension IPAddress {
    /// The IPv4 address to which packets for this IPv6 address may be led on; nil if none.
    ///
    /// Not so for Teredo and the local NAT64 prefix: the first names two IPv4 addresses, the
    /// second puts them where its operator likes, so both are special blocks as a whole.
    fileprivate var embeddedV4: UInt32? {
        guard case .v6(let bits) = self else { return nil }
        let lowest = UInt32(truncatingIfNeeded: bits)
        switch bits >> 32 {
        case 0xffff: return lowest  // IPv4-mapped, ::ffff:0:0/96
        case 0x0064_ff9b << 64: return lowest  // NAT64, 64:ff9b::/96
        case 0 where bits > 1: return lowest  // IPv4-compatible, ::/96 less :: and ::1
        default: break
        }
        let is6to4 = bits >> 112 == 0x2002
        return is6to4 ? UInt32(truncatingIfNeeded: bits >> 80) : nil
    }
}
