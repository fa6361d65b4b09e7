// Send requests with the Go client of openapi-generator. Arguments: URL, file of a record.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	client "example.com/fastmar/generated"
)

func main() {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: os.Args[1]}}
	api := client.NewAPIClient(configuration).PredictionsAPI
	text, err := os.ReadFile(os.Args[2])
	check(err)
	var record client.InputRecord
	check(json.Unmarshal(text, &record))
	one, _, err := api.Predict(context.Background()).InputRecord(record).Execute()
	check(err)
	list := client.NewRecordList([]client.InputRecord{record, record})
	many, _, err := api.PredictMany(context.Background()).RecordList(*list).Execute()
	check(err)
	check(json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"one": one, "many": many}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
