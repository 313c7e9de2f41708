import Domain

/// The type of an event as its words in lower case with dots between, the way Standard Webhooks
/// advises: `assignment.made` for `AssignmentMade`.
package enum DottedType {
    private static let known = Dictionary(
        uniqueKeysWithValues: LedgerEvent.types.map { ($0, words(of: $0)) })

    /// ASCII bytes, ready made for every type the ledger records.
    package static func bytes(of type: String) -> [UInt8] { known[type] ?? words(of: type) }

    private static func words(of type: String) -> [UInt8] {
        var words: [UInt8] = []
        for byte in type.utf8 {
            guard (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) else {
                words.append(byte)
                continue
            }
            if !words.isEmpty { words.append(UInt8(ascii: ".")) }
            words.append(byte | 0x20)
        }
        return words
    }
}
