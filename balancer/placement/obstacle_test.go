package placement

import "testing"

func TestObstacles(t *testing.T) {
	little := Room{Known: true, Total: 8 << 30, Free: 1 << 20}
	small := Room{Known: true, Total: 1 << 20, Free: 1 << 20}
	free, none := []Room{{}}, []Room{}
	tests := []struct {
		row  row
		want Obstacle
	}{
		{row{name: "broken", broken: true, full: true, gpus: free}, Broken},
		{row{name: "full", full: true, has: Starting, gpus: free}, Full},
		{row{name: "starting", has: Starting, memory: little, gpus: free}, OnItsWay},
		{row{name: "busy", has: Ready, load: 4, memory: little, gpus: free}, Busy},
		{row{name: "no memory", memory: little, gpus: free}, NoMemory},
		{row{name: "no GPU", gpus: []Room{little}}, NoGPU},
		{row{name: "small memory", memory: small, broken: true, gpus: free}, SmallMemory},
		{row{name: "small GPU", gpus: []Room{small}, broken: true}, SmallGPU},
		{row{name: "no GPU at all", gpus: none}, SmallGPU},
		{row{name: "warm", has: Ready, memory: small, gpus: none}, NoObstacle},
		{row{name: "cold", gpus: free}, NoObstacle},
	}
	for _, tt := range tests {
		sc := picture([]row{tt.row})
		sc.f.Need = Need{Memory: 1 << 30, GPUs: 1, GPUMemory: 2 << 20}
		if got := ObstacleAt(sc.f, sc.snapshot.Hosts[0], testNow); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.row.name, got, tt.want)
		}
	}
	quiet := &Host{GPUs: []Room{{}}}
	quiet.Heard(after(-quietAfter * 2))
	if got := ObstacleAt(&Function{}, quiet, testNow); got != Quiet {
		t.Errorf("quiet: %d", got)
	}
}
