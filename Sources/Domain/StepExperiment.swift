import Crypto
import JSON

/// An experiment inside a function, as its code declares it.
package struct StepExperiment: Sendable {
    package var function: String
    package var name: String
    /// In the order in which they were declared.
    package var variants: [String]
    package var hashVersion: HashVersion

    package init(
        function: String, name: String, variants: [String], hashVersion: HashVersion = .plain
    ) {
        self.function = function
        self.name = name
        self.variants = variants
        self.hashVersion = hashVersion
    }

    /// Finds the variant of a run; the same for the same arguments, on every machine.
    package func select(
        _ strategy: StepStrategy, run: String
    ) throws(StepSelectionError) -> StepSelection {
        try checkVariants()
        let selection: StepSelection
        switch strategy {
        case .weighted(let weights): selection = try draw(seed: run, weights)
        case .bucket(let value, let weights):
            let isNullish = value?.isNull ?? true
            let text = isNullish ? "" : value?.javaScriptText ?? ""
            var drawn = try draw(seed: text, weights ?? variants.map { ($0, 1) })
            drawn.bucketHash = hexadecimal(sha256(text))
            drawn.nullishBucket = isNullish
            selection = drawn
        case .custom(let variant), .fixed(let variant): selection = StepSelection(variant: variant)
        }
        guard variants.containsExactly(selection.variant) else {
            throw .undeclaredVariant(selection.variant, declared: variants)
        }
        return selection
    }

    private func checkVariants() throws(StepSelectionError) {
        if variants.isEmpty { throw .noVariants }
        if variants.contains("") { throw .emptyVariantName }
        if let name = firstRepeated(variants) { throw .duplicateVariant(name) }
    }

    /// Walks the weights in the order of their names to the first whose sum of shares exceeds `h`.
    ///
    /// As in the SDK, a weight may be that of a name that is not declared, which is an error only
    /// if the name is drawn. Where rounding leaves `h` beyond the last sum, or the total is infinite,
    /// the last name takes it. Another order of adding up would round to other numbers.
    private func draw(
        seed: String, _ weights: [(String, Double)]
    ) throws(StepSelectionError) -> StepSelection {
        let names = weights.map(\.0)
        if let name = firstRepeated(names) { throw .duplicateWeight(name) }
        for (name, weight) in weights where !(weight.isFinite && weight >= 0) {
            throw .invalidWeight(name, weight)
        }
        let order = names.indicesInLocaleOrder()
        let total = order.reduce(0) { $0 + weights[$1].1 }
        guard total > 0, var variant = order.last.map({ names[$0] }) else { throw .noWeight }
        let h = drawNumber(salted(seed))
        var cursor = 0.0
        for index in order {
            cursor += weights[index].1 / total
            if h < cursor {
                variant = names[index]
                break
            }
        }
        return StepSelection(variant: variant, h: h, walk: order.map { names[$0] })
    }

    /// The seed with the names before it where the version asks for them.
    ///
    /// Each name comes after its length in bytes, so no other names and seed give the same text.
    private func salted(_ seed: String) -> String {
        switch hashVersion {
        case .plain: seed
        case .salted: "\(function.utf8.count):\(function)/\(name.utf8.count):\(name)/\(seed)"
        }
    }
}

/// The first of the names that another before it equals byte for byte.
private func firstRepeated(_ names: [String]) -> String? {
    var seen: Set<String> = []
    for (index, name) in names.enumerated() {
        // A set of texts also takes composed and decomposed letters for the same.
        if !seen.insert(name).inserted, names[..<index].contains(where: { $0.isExactly(name) }) {
            return name
        }
    }
    return nil
}

/// The number in [0, 1): the first 4 bytes, big-endian, of the seed's SHA-256, over 2^32.
private func drawNumber(_ seed: String) -> Double {
    let digest = sha256(seed)
    let bits = digest.withUnsafeBytes { UInt32(bigEndian: $0.loadUnaligned(as: UInt32.self)) }
    return Double(bits) * 0x1p-32
}

private func sha256(_ text: String) -> SHA256Digest {
    var text = text
    return text.withUTF8 { bytes in
        var hash = SHA256()
        hash.update(bufferPointer: UnsafeRawBufferPointer(bytes))
        return hash.finalize()
    }
}

private func hexadecimal(_ digest: SHA256Digest) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
        decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
