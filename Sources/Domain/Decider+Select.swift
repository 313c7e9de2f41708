import JSON

extension Decider {
    /// Gets or creates the variant of a run.
    mutating func select(_ request: SelectionRequest) throws(Refusal) {
        let key = request.key
        if let placement = facts.placements[key] {
            answer(SelectionAnswer(key: key, placement: placement, isMemoized: true))
            return
        }
        let (selection, rollout) = try selection(for: request)
        let number = try declare(request.declared, of: request.step)
        let event = VariantSelected(
            step: request.step, run: request.run, variant: selection.variant,
            declared: request.declared, definition: number, h: selection.h,
            isNullishBucket: selection.nullishBucket, bucketHash: selection.bucketHash,
            rollout: rollout, appVersion: request.appVersion, sdkVersion: request.sdkVersion)
        record(.variantSelected(event))
        guard let placement = facts.placements[key] else { return }
        answer(
            SelectionAnswer(
                key: key, placement: placement, isMemoized: false,
                bucketHash: selection.bucketHash))
    }

    /// Finds the variant, and the position of the rollout table's entry that named it.
    private func selection(
        for request: SelectionRequest
    ) throws(Refusal) -> (StepSelection, rollout: Int64?) {
        let experiment = StepExperiment(
            function: request.step.function, name: request.step.name,
            variants: request.declared.variants, hashVersion: request.declared.hashVersion)
        let (strategy, rollout) = try strategy(of: request)
        do throws(StepSelectionError) {
            return (try experiment.select(strategy, run: request.run), rollout)
        } catch {
            throw .invalid([Problem(error.pointer(in: request, rollout), "\(error)")])
        }
    }

    private func strategy(
        of request: SelectionRequest
    ) throws(Refusal) -> (StepStrategy, rollout: Int64?) {
        let weights = request.declared.weights.map { $0.map { ($0.variant, $0.weight) } }
        switch request.declared.strategy {
        case .weighted:
            try refuseVariant(request)
            guard let weights else {
                throw .invalid([Problem("/weights", "The weighted strategy needs weights.")])
            }
            return (.weighted(weights), nil)
        case .bucket:
            try refuseVariant(request)
            return (.bucket(request.value ?? .null, weights: weights), nil)
        case .fixed: return (.fixed(request.variant ?? ""), nil)
        case .custom:
            let (variant, rollout) = try customVariant(request)
            return (.custom(variant), rollout)
        }
    }

    private func refuseVariant(_ request: SelectionRequest) throws(Refusal) {
        guard request.variant == nil else {
            throw .invalid([
                Problem(
                    "/variant",
                    "With the \(request.declared.strategy.rawValue) strategy the ledger draws the "
                        + "variant; name one with custom or fixed.")
            ])
        }
    }

    /// What the rollout table or the caller says.
    private func customVariant(
        _ request: SelectionRequest
    ) throws(Refusal) -> (String, rollout: Int64?) {
        if let key = request.rolloutKey {
            if let entry = facts.rollouts[key], let variant = entry.variant {
                return (variant, entry.position)
            }
            if request.variant == nil {
                throw .invalid([
                    Problem(
                        "/value",
                        "The rollout table has no entry for \(key.key). Make one, or send a variant "
                            + "to fall back to.")
                ])
            }
        }
        guard let variant = request.variant else {
            throw .invalid([
                Problem(
                    "/variant",
                    "The custom strategy needs the variant that was chosen, or a value to look up "
                        + "in the rollout table.")
            ])
        }
        return (variant, nil)
    }

    /// Makes a definition the one in force.
    ///
    /// - Returns: its number.
    private mutating func declare(
        _ definition: StepDefinition, of step: StepKey
    ) throws(Refusal) -> Int {
        guard let declared = state.steps[step] else {
            record(.stepCreated(step, definition))
            return 1
        }
        if declared.definition.isWritten(like: definition) { return declared.number }
        let signature = definition.signature
        if declared.numbers[signature] == declared.number { return declared.number }
        let number = declared.numbers[signature] ?? declared.numbers.count + 1
        guard number <= Limits.definitionsMax else {
            throw Refusal(
                .conflict,
                "Experiment \(step) has \(Limits.definitionsMax) definitions already; start a new "
                    + "one under another name.")
        }
        record(
            .definitionChanged(
                DefinitionChanged(
                    step: step, number: number, previous: declared.number,
                    before: declared.definition, after: definition)))
        return number
    }
}

extension StepSelectionError {
    /// Where in the request the fault is.
    fileprivate func pointer(in request: SelectionRequest, _ rollout: Int64?) -> String {
        switch self {
        case .noVariants, .emptyVariantName, .duplicateVariant: "/variants"
        case .duplicateWeight, .invalidWeight, .noWeight: "/weights"
        case .undeclaredVariant:
            switch request.declared.strategy {
            case .weighted, .bucket: "/weights"
            case .custom where rollout != nil: "/value"
            case .custom, .fixed: "/variant"
            }
        }
    }
}

// MARK: Rollout tables

/// Variants for keys of a rollout table.
package struct RolloutRequest: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var key: String
        /// Nil takes the key out.
        package var variant: String?

        package init(key: String, variant: String?) {
            self.key = key
            self.variant = variant
        }
    }

    package var entries: [Entry]
    /// Whether variants that the experiment does not declare, or not yet, are taken.
    package var allowsUndeclared: Bool

    package init(entries: [Entry], allowsUndeclared: Bool = false) {
        self.entries = entries
        self.allowsUndeclared = allowsUndeclared
    }
}

extension RolloutRequest.Entry {
    /// Reads `{"key","variant"}`; the pointer is the object's.
    package init?(_ reader: DocumentReader) {
        guard let key = reader.unit("key") else { return nil }
        self.init(key: key, variant: reader.stepName("variant", required: false))
    }

    /// Reads the data of a proposed `RolloutChanged`.
    static func read(
        _ data: JSONValue, _ pointer: String, _ problems: Problems
    ) -> (StepKey, Self)? {
        let reader = DocumentReader(data, pointer, problems)
        reader.allow(["function", "experiment", "key", "variant", "previous"])
        guard let step = reader.step("experiment"), let entry = Self(reader) else { return nil }
        return (step, entry)
    }
}

extension Decider {
    /// Changes entries of a rollout table; those that are as asked already record nothing.
    mutating func rollOut(_ step: StepKey, _ request: RolloutRequest) throws(Refusal) {
        if let declared = state.steps[step], !request.allowsUndeclared {
            var problems: [Problem] = []
            for (index, entry) in request.entries.enumerated() {
                guard let variant = entry.variant,
                    !declared.definition.variants.containsExactly(variant)
                else { continue }
                let known = declared.definition.variants.joined(separator: ", ")
                problems.append(
                    Problem(
                        "/\(index)/variant",
                        "\(variant) is none of the experiment's variants (\(known)). Where code "
                            + "that declares it is on its way, add allowUndeclared=true."))
            }
            guard problems.isEmpty else { throw .invalid(problems) }
        }
        for entry in request.entries { change(RolloutKey(step, entry.key), to: entry.variant) }
    }

    private mutating func change(_ key: RolloutKey, to variant: String?) {
        let entry = facts.rollouts[key]
        switch (entry?.variant, variant) {
        case (nil, nil): return
        case (let before?, let after?) where before.isExactly(after): return
        default: break
        }
        let version = (entry?.version ?? 0) + 1
        facts.rollouts[key] = RolloutEntry(
            variant: variant, position: nextPosition, version: version)
        record(
            .rolloutChanged(
                RolloutChanged(
                    step: key.step, key: key.key, variant: variant, previous: entry?.variant)),
            version: version)
    }
}
