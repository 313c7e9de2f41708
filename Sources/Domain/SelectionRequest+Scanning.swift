import JSON

extension SelectionRequest {
    /// Reads a request that is written as usual, without making a tree of it; nil leaves it to the
    /// slower reader, which also says what is wrong.
    package init?(scanning body: [UInt8]) throws(JSONError) {
        let request = try JSON.scanning(body) {
            scanner throws(JSONError) -> SelectionRequest? in
            guard scanner.peek() == UInt8(ascii: "{") else { return nil }
            var scan = SelectionScan()
            try scanner.object { scanner, key throws(JSONError) in try scan.read(key, &scanner) }
            try scanner.end()
            return scan.request
        }
        guard let request else { return nil }
        self = request
    }
}

/// What was read of a request so far.
private struct SelectionScan {
    private var function: String?
    private var experiment: String?
    private var run: String?
    private var variants: [String] = []
    private var strategy: SelectionStrategy?
    private var weights: [Weight]?
    private var value: JSONValue?
    private var variant: String?
    private var hashVersion: HashVersion?
    private var isUsual = true
    /// How many members there were; more than were read means that one came twice.
    private var members = 0

    mutating func read(_ key: String, _ scanner: inout JSONScanner) throws(JSONError) {
        members += 1
        switch key {
        case "function": function = try name(&scanner)
        case "experiment": experiment = try name(&scanner)
        case "run":
            run = try text(&scanner)
            if let run, !isValidSubject(run) { isUsual = false }
        case "variants":
            guard scanner.peek() == UInt8(ascii: "[") else { return try giveUp(&scanner) }
            try scanner.array { scanner throws(JSONError) in
                if let name = try name(&scanner) { variants.append(name) }
            }
            if variants.count > Limits.variantsMax { isUsual = false }
        case "strategy":
            strategy = try text(&scanner).flatMap { SelectionStrategy(rawValue: $0) }
        case "weights": try readWeights(&scanner)
        case "value": value = try scanner.value()
        case "variant": variant = try name(&scanner)
        case "hashVersion":
            guard let version = try scanner.value().integer.flatMap({ HashVersion(exactly: $0) })
            else {
                isUsual = false
                return
            }
            hashVersion = version
        default: try giveUp(&scanner)
        }
    }

    private mutating func readWeights(_ scanner: inout JSONScanner) throws(JSONError) {
        guard scanner.peek() == UInt8(ascii: "{") else { return try giveUp(&scanner) }
        var read: [Weight] = []
        try scanner.object { scanner, key throws(JSONError) in
            guard case let weight? = try scanner.value().double, weight.isFinite, weight >= 0,
                !read.contains(where: { $0.variant.isExactly(key) })
            else {
                isUsual = false
                return
            }
            read.append(Weight(variant: key, weight: weight))
        }
        weights = read
    }

    private mutating func giveUp(_ scanner: inout JSONScanner) throws(JSONError) {
        isUsual = false
        try scanner.skip()
    }

    private mutating func text(_ scanner: inout JSONScanner) throws(JSONError) -> String? {
        guard scanner.peek() == UInt8(ascii: "\"") else {
            try giveUp(&scanner)
            return nil
        }
        return try scanner.string()
    }

    private mutating func name(_ scanner: inout JSONScanner) throws(JSONError) -> String? {
        let name = try text(&scanner)
        if let name, !isValidStepName(name) { isUsual = false }
        return name
    }

    var request: SelectionRequest? {
        let optional = [weights != nil, value != nil, variant != nil, hashVersion != nil]
        guard isUsual, members == 5 + optional.count(where: { $0 }), let function, let experiment,
            let run, let strategy, !variants.isEmpty,
            strategy != .fixed || variant != nil
        else { return nil }
        return SelectionRequest(
            step: StepKey(function: function, name: experiment), run: run,
            declared: StepDefinition(
                strategy: strategy, variants: variants, weights: weights,
                hashVersion: hashVersion ?? .plain, fixed: strategy == .fixed ? variant : nil),
            value: value, variant: variant)
    }
}

extension HashVersion {
    fileprivate init?(exactly number: Int64) {
        self.init(rawValue: Int(clamping: number))
    }
}
