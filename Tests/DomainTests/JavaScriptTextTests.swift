import JSON
import Testing

@testable import Domain

@Suite struct JavaScriptTextTests {
    @Test(
        arguments: [
            ("0", "0"), ("-0", "0"), ("1.0", "1"), ("1.50", "1.5"), ("-12.5", "-12.5"),
            ("100", "100"), ("1E5", "100000"), ("0.1", "0.1"), ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"), ("123456789012345680000", "123456789012345680000"),
            ("1234567890123456789012", "1.2345678901234568e+21"), ("0.000001", "0.000001"),
            ("0.0000012", "0.0000012"), ("0.0000001", "1e-7"), ("-1.25e-9", "-1.25e-9"),
            ("5e-324", "5e-324"), ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("9007199254740993", "9007199254740992"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("1e400", "Infinity"), ("-1e400", "-Infinity"), ("1e-400", "0"),
        ])
    func `a number is written as JavaScript does`(json: String, text: String) throws {
        #expect(try JSONValue.parse(Array(json.utf8)).javaScriptText == text)
    }

    @Test(
        arguments: [
            ("null", "null"), ("true", "true"), ("false", "false"), (#""""#, ""),
            (#""a\u00e9 \n""#, "a\u{E9} \n"), ("[]", ""), ("[1,2]", "1,2"), ("[null]", ""),
            (#"[1,[2,null,"x"],{"a":1},true]"#, "1,2,,x,[object Object],true"),
            ("{}", "[object Object]"), (#"{"a":[1]}"#, "[object Object]"), ("[[],[]]", ","),
        ])
    func `any other value is written as String(value) does`(json: String, text: String) throws {
        #expect(try JSONValue.parse(Array(json.utf8)).javaScriptText.isExactly(text))
    }
}
