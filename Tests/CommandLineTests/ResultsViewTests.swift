import Testing

@testable import CommandLine

@Suite struct ResultsViewTests {
    private static let json = """
        {"experiment":"HERO","status":"active","position":12345,"lag":{"events":0,"seconds":0},
        "aggregation":"latest","alpha":0.05,"minimumEffect":0.01,"control":"CONTROL",
        "sampleRatio":{"alert":false,"p":0.4721,"chiSquare":0.517,"degreesOfFreedom":1},
        "variants":[{"variant":"CONTROL","assigned":1510},{"variant":"B","assigned":1490}],
        "cohorts":[{"cohort":1,"createdAt":"2026-01-02T03:04:05.678901Z",
        "sampleRatio":{"alert":false,"p":0.4721,"chiSquare":0.517,"degreesOfFreedom":1},
        "variants":[{"variant":"CONTROL","split":0.5,"assigned":1510},
        {"variant":"B","split":0.5,"assigned":1490}]}],"unattributedScores":2,
        "scores":[{"name":"revenue","kind":"mean","scores":2000,"unattributed":2,
        "quantileError":0.01,"stratified":false,"method":"Compared over all units.",
        "variants":[{"variant":"CONTROL","isControl":true,"assigned":1510,"units":1000,
        "unscored":510,"scores":1000,"mean":10,"standardDeviation":2.34567,"min":0,
        "lowerQuartile":1,"median":9.5,"upperQuartile":2,"max":3},
        {"variant":"B","isControl":false,"assigned":1490,"units":1000,"unscored":490,
        "scores":1000,"mean":12.5,"standardDeviation":null,"min":0,"lowerQuartile":1,
        "median":12,"upperQuartile":2,"max":3,"verdict":"better",
        "evidence":"The difference is 2.5, and its interval excludes 0.",
        "difference":{"estimate":2.5,"standardError":0.1,
        "welch":{"low":2,"high":3,"p":0.00012345},
        "alwaysValid":{"low":0.42,"high":2.91,"p":0.01}},
        "lift":{"estimate":0.25,"standardError":0.1,"welch":{"low":0.1,"high":0.3,"p":0.0001},
        "alwaysValid":{"low":0.1,"high":0.3,"p":0.01}}}],"cohorts":[]}]}
        """

    private func text(
        _ json: String = json, columns: Int? = nil, isColourful: Bool = false,
        hasBlocks: Bool = false, asOf: String? = nil
    ) throws -> String {
        let answer = try ServerJSON.decode(ResultsAnswer.self, from: json.utf8)
        let canvas = Canvas(columns: columns, isColourful: isColourful, hasBlocks: hasBlocks)
        return ResultsView(answer, asOf: asOf, canvas: canvas).text
    }

    @Test func `freshness and the split come before what is concluded`() throws {
        #expect(
            try text() == """
                experiment/HERO  active
                Figures up to position 12345, the newest.
                Counted: the latest score of each unit. Alpha 0.05, minimum effect 1%, control CONTROL.

                Sample ratio: no mismatch with the split (p = 0.47, chi-square 0.517, 1 degree of freedom).

                COHORT  CREATED               VARIANT  SPLIT  ASSIGNED  SHARE  RATIO P
                1       2026-01-02T03:04:05Z  CONTROL  50%    1 510     50.3%  0.47
                                              B        50%    1 490     49.7%

                2 scores are unattributed: their units had no variant, and they count for none.

                score revenue  2 000 scores, 2 unattributed
                VARIANT  UNITS  UNSCORED  MEAN  SD     MEDIAN
                CONTROL  1 000  510       10    2.346  9.5     ################
                B        1 000  490       12.5  -      12      ####################

                Against CONTROL:
                VARIANT  DIFFERENCE  95% ALWAYS VALID  LIFT  P (WELCH)  VERDICT
                B        +2.5        [0.42, 2.91]      +25%  0.00012    better
                B: better. The difference is 2.5, and its interval excludes 0.

                """)
    }

    @Test func `a split that was not kept is told loudly before any verdict`() throws {
        let broken = Self.json.replacing(
            #"{"alert":false,"p":0.4721"#, with: #"{"alert":true,"p":1e-9"#)
        let text = try text(broken)
        let alert = try #require(text.firstRange(of: "!! SAMPLE RATIO MISMATCH: p = 1e-09,"))
        let verdict = try #require(text.firstRange(of: "better"))
        #expect(alert.lowerBound < verdict.lowerBound)
        #expect(text.contains("can't be compared"))
    }

    @Test func `figures that lag behind say how much, those of another time which`() throws {
        let lagging = Self.json.replacing(
            #"{"events":0,"seconds":0}"#, with: #"{"events":1234,"seconds":2.5}"#)
        #expect(
            try text(lagging).contains(
                "Figures up to position 12345, 1 234 events (2.5 s) behind the log.\n"))
        #expect(
            try text(lagging, asOf: "12345").contains(
                "Figures up to position 12345, as of 12345.\n"))
    }

    @Test func `a stratified comparison says so, and what it leaves out`() throws {
        let json = Self.json.replacing(#""stratified":false"#, with: #""stratified":true"#)
            .replacing(#""difference":"#, with: #""excluded":[2,3],"difference":"#)
        let text = try text(json)
        #expect(text.contains("Note: Compared over all units.\n"))
        #expect(text.contains("too few units there: cohorts 2, 3.\n"))
    }

    @Test func `a step experiment has definitions`() throws {
        let json = Self.json.replacing("\"cohort", with: "\"definition")
            .replacing(#""experiment":"HERO","status":"active""#, with: #""experiment":"e""#)
            .replacing(#""position":12345"#, with: #""function":"f","position":12345"#)
            .replacing(#""split":0.5,"#, with: "")
        let text = try text(json)
        #expect(text.hasPrefix("f / e\n"))
        #expect(text.contains("DEFINITION  CREATED "))
        #expect(text.contains("CONTROL  -      1 510 "))
    }

    @Test func `what can't be compared is shown without figures`() throws {
        let json = Self.json.replacing(#""estimate":2.5,"#, with: #""estimate":null,"#)
            .replacing(#""low":0.42,"high":2.91"#, with: #""low":null,"high":null"#)
        #expect(
            try text(json).contains(
                "B        -           -                 +25%  -          better\n"))
    }

    @Test(arguments: [20, 40, 60, 80, 100])
    func `lines fit a terminal`(columns: Int) throws {
        let lines = try text(columns: columns).split(separator: "\n")
        let widest = lines.map { Display.width(String($0)) }.max() ?? 0
        // Narrower than a field and its label, nothing can be done.
        #expect(widest <= max(columns, 46), "\(lines.joined(separator: "\n"))")
        #expect(lines.contains { $0.contains("12345") })
    }

    @Test func `bars have eighths of a column where the terminal draws them`() {
        let canvas = Canvas(columns: nil, isColourful: true, hasBlocks: true)
        #expect(canvas.bar(1, width: 4) == "████")
        #expect(canvas.bar(0.53125, width: 4) == "██▏")
        #expect(canvas.bar(-1, width: 4) == "")
        let plain = Canvas(columns: nil, isColourful: false, hasBlocks: false)
        #expect(plain.bar(0.53125, width: 4) == "##")
    }

    @Test func `a name can't steer the terminal`() throws {
        let json = Self.json.replacing("revenue", with: #"a\u001b[31m\nb"#)
            .replacing(#""B""#, with: #""\u001b[2J""#)
        #expect(!(try text(json)).contains("\u{1b}"))
    }

    @Test(arguments: [
        (0, "0"), (12.5, "12.5"), (2.34567, "2.346"), (-0.012345, "-0.01235"),
        (1_234_567.89, "1 234 568"), (-1234.5, "-1 235"), (0.1 + 0.2, "0.3"), (1e-7, "1e-07"),
        (3e20, "3e+20"), (999.96, "1 000"),
    ])
    func `a number has four digits, and all before its point`(value: Double, text: String) {
        #expect(Numeral.short(value) == text)
    }

    @Test(arguments: [(0, "0"), (1, "1"), (0.4721, "0.47"), (1.26e-9, "1.3e-09"), (0.031, "0.031")])
    func `a probability has two digits`(value: Double, text: String) {
        #expect(Numeral.p(value) == text)
    }

    @Test(arguments: [(0.3333, "33.3%", "+33.3%"), (-0.0001, "0%", "0%"), (-0.5, "-50%", "-50%")])
    func `a share is told in per cent`(share: Double, plain: String, signed: String) {
        #expect(Numeral.percent(share) == plain)
        #expect(Numeral.signedPercent(share) == signed)
    }

    @Test func `text is wrapped at words`() {
        #expect(
            Display.wrapped("a bb ccc dddd", columns: 6, indent: 2) == ["a bb", "  ccc", "  dddd"])
        #expect(Display.wrapped("abcdefgh i", columns: 4, indent: 0) == ["abcdefgh", "i"])
        #expect(Display.wrapped("a b", columns: .max, indent: 2) == ["a b"])
    }
}
