import ArgumentParser
import Curl
import JSON

/// `ledger select`: asks for the variant of a run in a step experiment.
struct Select: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Get the variants of runs in a step experiment.",
        discussion: """
            A run keeps the first variant it is given, whatever is asked for it later. The \
            experiment comes into being with its first selection. Without --variant its variants \
            are those that have a weight.

            Examples:
              ledger select summarize model run_1 --weight gpt4o=50 --weight claude=50
              ledger select summarize model run_1 --weight a=1 --weight b=3 --bucket user_7
              ledger select summarize model run_1 --variant a --variant b --fixed b
              ledger select summarize model run_1 --variant a --variant b --rollout org_42
              ledger select summarize model run_1 --read-only
            """)

    @Argument(help: "The function.")
    var function: String

    @Argument(help: "The function's experiment.")
    var experiment: String

    @Argument(help: ArgumentHelp("Runs of the function.", valueName: "run"))
    var runs: [String]

    @Option(
        help: ArgumentHelp("A variant's share in a draw. Once for each.", valueName: "name=number"))
    var weight: [VariantWeight] = []

    @Option(help: ArgumentHelp("A variant of the experiment. Once for each.", valueName: "name"))
    var variant: [String] = []

    @Option(
        help: ArgumentHelp(
            "Draw by this value, not by the run: the same value, the same variant.",
            valueName: "text"))
    var bucket: String?

    @Option(help: ArgumentHelp("The same with a JSON value, such as null.", valueName: "json"))
    var bucketJSON: JSONText?

    @Option(help: ArgumentHelp("Give the variant that was chosen elsewhere.", valueName: "variant"))
    var custom: String?

    @Option(help: ArgumentHelp("Give every run this variant.", valueName: "variant"))
    var fixed: String?

    @Option(
        help: ArgumentHelp(
            "Give what the ledger's rollout table has under this key.", valueName: "key"))
    var rollout: String?

    @Option(
        help: ArgumentHelp("What to give where the table has no such key.", valueName: "variant"))
    var fallback: String?

    @Flag(help: "Draw apart from other experiments over the same runs (hashVersion 2).")
    var salted = false

    @Flag(help: "Only look up, select nothing.")
    var readOnly = false

    @OptionGroup var options: ClientOptions

    func validate() throws {
        try options.refuseYAML()
        if [function, experiment].contains("") || runs.contains("") {
            throw ValidationError("A function, an experiment and a run have names.")
        }
        let ways = [bucket, bucketJSON?.text, custom, fixed, rollout].compactMap(\.self).count
        if readOnly {
            let asks = ways + weight.count + variant.count > 0 || fallback != nil || salted
            guard !asks else {
                throw ValidationError("--read-only only looks up, and takes no way to select.")
            }
            return
        }
        guard ways <= 1 else {
            throw ValidationError(
                "Give one of --bucket, --bucket-json, --custom, --fixed and --rollout.")
        }
        if fallback != nil, rollout == nil {
            throw ValidationError("--fallback goes with --rollout.")
        }
        try validateVariants(isDraw: custom == nil && fixed == nil && rollout == nil, ways)
    }

    private func validateVariants(isDraw: Bool, _ ways: Int) throws {
        if ways == 0, weight.isEmpty {
            throw ValidationError(
                "Say how to select: --weight for a draw, --bucket, --custom, --fixed or --rollout.")
        }
        if !isDraw, !weight.isEmpty || salted {
            throw ValidationError("--weight and --salted are for a draw.")
        }
        if weight.isEmpty, variant.isEmpty {
            throw ValidationError("Name each of the experiment's variants with --variant.")
        }
        var names: Set<[UInt8]> = []
        for weight in weight where !names.insert(Array(weight.variant.utf8)).inserted {
            throw ValidationError("'\(weight.variant)' has two weights.")
        }
    }

    func run() throws {
        let client = options.client()
        var table = Table(["run", "variant", "memoized", "definition", "h", "position"])
        for run in runs {
            let response = try readOnly ? lookUp(run, client) : select(run, client)
            guard options.format == .table else {
                Terminal.print(body: response.body)
                continue
            }
            let answer = try ServerJSON.decode(Selected.self, from: response.body)
            table.print([answer.row])
            if answer.nullishBucket == true, !answer.memoized {
                Terminal.writeError(
                    "note: the bucket's value is null, and all runs without a value share a draw.\n"
                )
            }
        }
    }

    private func lookUp(_ run: String, _ client: Client) throws -> Response {
        try client.send(
            "GET", ["v1", "functions", function, "experiments", experiment, "selections", run])
    }

    private func select(_ run: String, _ client: Client) throws -> Response {
        try client.send(
            "POST", ["v1", "selections"],
            Client.Details(contentType: "application/json", body: body(run: run)))
    }

    /// The request for one run.
    func body(run: String) -> [UInt8] {
        var writer = JSONWriter()
        func member(_ key: StaticString, _ value: String?) {
            guard let value else { return }
            writer.key(key)
            writer.string(value)
        }
        writer.beginObject()
        member("function", function)
        member("experiment", experiment)
        member("run", run)
        writer.key("variants")
        writer.beginArray()
        for name in variant.isEmpty ? weight.map(\.variant) : variant { writer.string(name) }
        writer.endArray()
        member("strategy", strategy)
        if !weight.isEmpty {
            writer.key("weights")
            writer.beginObject()
            for weight in weight {
                writer.key(weight.variant)
                writer.number(weight.number)
            }
            writer.endObject()
        }
        member("value", bucket ?? rollout)
        if let bucketJSON {
            writer.key("value")
            writer.raw(Array(bucketJSON.text.utf8))
        }
        member("variant", custom ?? fixed ?? fallback)
        if salted {
            writer.key("hashVersion")
            writer.integer(2)
        }
        writer.endObject()
        return writer.bytes
    }

    private var strategy: String {
        if bucket != nil || bucketJSON != nil { return "bucket" }
        if custom != nil || rollout != nil { return "custom" }
        return fixed == nil ? "weighted" : "fixed"
    }
}

/// `NAME=NUMBER`; the name may hold `=` too.
struct VariantWeight: ExpressibleByArgument, Equatable {
    let variant: String
    let number: Double

    init?(argument: String) {
        guard let sign = argument.lastIndex(of: "="), sign != argument.startIndex,
            let number = Double(argument[argument.index(after: sign)...]), number.isFinite,
            number >= 0
        else { return nil }
        variant = String(argument[..<sign])
        self.number = number
    }
}

/// A run's variant, as the server answers.
struct Selected: Decodable {
    var run: String
    var variant: String
    var memoized: Bool
    var definition: Int
    var h: Double?
    var nullishBucket: Bool?
    var position: Int

    var row: [Table.Cell] {
        [
            Table.Cell(run), Table.Cell(variant, style: .bold),
            Table.Cell(memoized ? "yes" : "no"), Table.Cell("\(definition)"),
            Table.Cell(h.map(Numeral.short) ?? "-"), Table.Cell("\(position)"),
        ]
    }
}
